// What each sender's own library says: `sign` returns the headers, form or body that it would send, and
// `verify` whether it takes a request as genuine. A call holds body (bytes), text, form, headers (lower case), url,
// query, secret, key (what else the library is told) and at (unix milliseconds).
import { createRequire } from "node:module";
import { createSecretKey, createHash } from "node:crypto";

import "@shopify/shopify-api/adapters/node";
import { LogSeverity, shopifyApi } from "@shopify/shopify-api";
import { createSHA256HMAC, HashFormat } from "@shopify/shopify-api/runtime";
import { encodeSignatureHeader, isValidSignature } from "@sanity/webhook";
import * as gocardless from "gocardless-nodejs";
import * as octokit from "@octokit/webhooks-methods";
import { Paddle } from "@paddle/paddle-node-sdk";
import { SignJWT } from "jose";
import Stripe from "stripe";
import { validateSignature } from "@line/bot-sdk";
import { verifyKey } from "discord-interactions";
import { WorkOS } from "@workos-inc/node";

const require = createRequire(import.meta.url);
const { EventWebhook } = require("@sendgrid/eventwebhook");
const { signatureHelper } = require("@kontent-ai/webhook-helper");
const { validateWebhookSignature } = require("razorpay/dist/utils/razorpay-utils");
const braintree = require("braintree");
const HmacValidator = require("@adyen/api-library").hmacValidator;
const standard = require("standardwebhooks");
const svix = require("svix");
const twilio = require("twilio/lib/webhooks/webhooks");
const { verify: verifyMessageBird } = require("messagebird/lib/webhook-signature-jwt");

const MESSAGE = "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W";
const seconds = (at) => Math.floor(at / 1000);
const sha256 = (content) => createHash("sha256").update(content).digest("hex");
const paddle = new Paddle("unused");
const workos = new WorkOS("unused");
const stripe = new Stripe("unused");
const adyen = new HmacValidator();

// Whether a check that throws to refuse did not throw; an error after the signature was found good is none of ours.
const holds = (check, refusal) => {
  try {
    check();
    return true;
  } catch (error) {
    if (refusal(error)) return false;
    if (error instanceof SyntaxError) return true;
    throw error;
  }
};

const shopify = (secret) =>
  shopifyApi({
    apiKey: "unused",
    apiSecretKey: secret,
    apiVersion: "2026-01",
    hostName: "hooks.example.com",
    isEmbeddedApp: false,
    logger: { level: LogSeverity.Error, log: () => {} },
  });

const frame = ({ Webhook }, prefix) => ({
  sign: ({ secret, text, at }) => ({
    headers: {
      [`${prefix}-id`]: MESSAGE,
      [`${prefix}-timestamp`]: `${seconds(at)}`,
      [`${prefix}-signature`]: new Webhook(secret).sign(MESSAGE, new Date(at), text),
    },
  }),
  verify: ({ secret, text, headers }) =>
    holds(() => new Webhook(secret).verify(text, headers), (error) => error.name === "WebhookVerificationError"),
});

// Repeated fields are an array, as the body parsers before these libraries make of them.
const fields = (form) => {
  const found = {};
  for (const [name, value] of form) {
    found[name] = name in found ? [found[name], value].flat() : value;
  }
  return found;
};

const braintreeGateway = ({ secret, key }) =>
  new braintree.BraintreeGateway({
    environment: braintree.Environment.Sandbox,
    merchantId: "unused",
    publicKey: key,
    privateKey: secret,
  });

export const judges = {
  adyen: {
    sign: ({ secret, text }) => {
      const document = JSON.parse(text);
      for (const { NotificationRequestItem: item } of document.notificationItems) {
        item.additionalData = { ...item.additionalData, hmacSignature: adyen.calculateHmac(item, secret) };
      }
      return { body: JSON.stringify(document) };
    },
    verify: ({ secret, text }) =>
      JSON.parse(text).notificationItems.every((item) => adyen.validateHMAC(item.NotificationRequestItem, secret)),
  },
  braintree: {
    sign: (call) => {
      const made = braintreeGateway(call).webhookTesting.sampleNotification("subscription_canceled", "sub_1");
      return { form: Object.entries(made) };
    },
    verify: async (call) => {
      const { bt_signature, bt_payload } = fields(call.form);
      try {
        await braintreeGateway(call).webhookNotification.parse(bt_signature, bt_payload);
        return true;
      } catch (error) {
        if (error.type === "invalidSignatureError") return false;
        throw error;
      }
    },
    shake: (call) => braintreeGateway(call).webhookNotification.verify(call.text),
  },
  discord: {
    verify: ({ secret, body, headers }) =>
      verifyKey(body, headers["x-signature-ed25519"], headers["x-signature-timestamp"], secret),
  },
  github: {
    sign: async ({ secret, text }) => ({ headers: { "x-hub-signature-256": await octokit.sign(secret, text) } }),
    verify: ({ secret, text, headers }) => octokit.verify(secret, text, headers["x-hub-signature-256"]),
  },
  gocardless: {
    verify: ({ secret, body, headers }) =>
      holds(
        () => gocardless.parse(body, secret, headers["webhook-signature"]),
        (error) => error.name === "InvalidSignatureError",
      ),
  },
  "kontent-ai": {
    sign: ({ secret, text }) => ({
      headers: { "x-kontent-ai-signature": signatureHelper.getHashFromString(text, secret) },
    }),
    verify: ({ secret, text, headers }) =>
      signatureHelper.isValidSignatureFromString(text, secret, headers["x-kontent-ai-signature"]),
  },
  line: {
    verify: ({ secret, body, headers }) => validateSignature(body, secret, headers["x-line-signature"]),
  },
  messagebird: {
    // Its library verifies alone; this is the token that it describes, made by the library that it verifies with.
    sign: async ({ secret, body, url, at }) => {
      const token = await new SignJWT({
        url_hash: sha256(url),
        jti: "f9d1a9d5-2a2f-4f0e-8a8a-0c0a4f1d2e3b",
        ...(body.length ? { payload_hash: sha256(body) } : {}),
      })
        .setProtectedHeader({ alg: "HS256", typ: "JWT" })
        .setIssuer("MessageBird")
        .setNotBefore(seconds(at))
        .setIssuedAt(seconds(at))
        .setExpirationTime(seconds(at) + 60)
        .sign(Buffer.from(secret));
      return { headers: { "messagebird-signature-jwt": token } };
    },
    verify: async ({ secret, body, url, headers }) => {
      const key = createSecretKey(Buffer.from(secret));
      try {
        return await verifyMessageBird(url, body, headers["messagebird-signature-jwt"], key);
      } catch (error) {
        if (error.message.startsWith("invalid signature")) return false;
        throw error;
      }
    },
  },
  paddle: {
    verify: ({ secret, text, headers }) =>
      paddle.webhooks.isSignatureValid(text, secret, headers["paddle-signature"]),
  },
  razorpay: {
    verify: ({ secret, text, headers }) => validateWebhookSignature(text, headers["x-razorpay-signature"], secret),
  },
  sanity: {
    sign: async ({ secret, text, at }) => ({
      headers: { "sanity-webhook-signature": await encodeSignatureHeader(text, at, secret) },
    }),
    verify: ({ secret, text, headers }) => isValidSignature(text, headers["sanity-webhook-signature"], secret),
  },
  sendgrid: {
    verify: ({ secret, body, headers }) => {
      const webhook = new EventWebhook();
      const signature = headers["x-twilio-email-event-webhook-signature"];
      const timestamp = headers["x-twilio-email-event-webhook-timestamp"];
      return webhook.verifySignature(webhook.convertPublicKeyToECDSA(secret), body, signature, timestamp);
    },
  },
  shopify: {
    sign: async ({ secret, text }) => ({
      headers: { "x-shopify-hmac-sha256": await createSHA256HMAC(secret, text, HashFormat.Base64) },
    }),
    verify: async ({ secret, text, headers }) => {
      const described = { "x-shopify-topic": "orders/create", "x-shopify-shop-domain": "a.myshopify.com" };
      const versioned = { "x-shopify-api-version": "2026-01", "x-shopify-webhook-id": MESSAGE };
      const rawRequest = { method: "POST", url: "/", headers: { ...described, ...versioned, ...headers } };
      const { valid, reason } = await shopify(secret).webhooks.validate({ rawBody: text, rawRequest });
      if (!valid && reason !== "invalid_hmac") throw new Error(reason);
      return valid;
    },
  },
  "standard-webhooks": frame(standard, "webhook"),
  stripe: {
    sign: ({ secret, text, at }) => ({
      headers: {
        "stripe-signature": stripe.webhooks.generateTestHeaderString({
          payload: text,
          secret,
          timestamp: seconds(at),
        }),
      },
    }),
    verify: ({ secret, body, headers }) =>
      holds(
        () => stripe.webhooks.signature.verifyHeader(body, headers["stripe-signature"], secret, 300),
        (error) => error.type === "StripeSignatureVerificationError",
      ),
  },
  svix: frame(svix, "svix"),
  twilio: {
    sign: ({ secret, url, form }) => ({
      headers: { "x-twilio-signature": twilio.getExpectedTwilioSignature(secret, url, fields(form)) },
    }),
    verify: ({ secret, url, form, headers }) =>
      twilio.validateRequest(secret, headers["x-twilio-signature"], url, fields(form)),
  },
  "twilio-json": {
    sign: ({ secret, url, text }) => {
      if (!url.endsWith(twilio.getExpectedBodyHash(text))) throw new Error("the URL has another hash of the body");
      return { headers: { "x-twilio-signature": twilio.getExpectedTwilioSignature(secret, url, {}) } };
    },
    verify: ({ secret, url, text, headers }) =>
      twilio.validateRequestWithBody(secret, headers["x-twilio-signature"], url, text),
  },
  workos: {
    sign: async ({ secret, text, at }) => {
      const signature = await workos.webhooks.computeSignature(at, JSON.parse(text), secret);
      return { headers: { "workos-signature": `t=${at}, v1=${signature}` } };
    },
    verify: async ({ secret, text, headers }) => {
      try {
        const payload = JSON.parse(text);
        return await workos.webhooks.verifyHeader({ payload, sigHeader: headers["workos-signature"], secret });
      } catch (error) {
        if (error.name === "SignatureVerificationException") return false;
        throw error;
      }
    },
  },
};
