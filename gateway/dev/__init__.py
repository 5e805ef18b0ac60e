"""What `gateway dev` needs: the local event API and signed sample traffic."""
