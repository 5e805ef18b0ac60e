"""What the gateway is compared with, each a program that listens on the port it is given."""
