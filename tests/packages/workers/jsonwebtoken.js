import { createPrivateKey, createPublicKey } from "node:crypto";
import jwt from "jsonwebtoken";

// For this test alone.
const PRIVATE = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgaShmrVe9quuS70BH
fmZ1TNwhj5514D0ZqB4CUtn//3ahRANCAARLl3Mz6rsCE89uflaZnWD3/0E+FgQS
HZc+1pnlWY0Vc8fneXUYQF/K9wnKX1yXj79e0sNrE+FgeruNvXPNXG8K
-----END PRIVATE KEY-----
`;
const secret = "a secret of at least thirty-two bytes";
const failure = (act) => {
  try {
    return act();
  } catch (error) {
    return [error.name, error.message];
  }
};
export default {
  async fetch() {
    const token = jwt.sign({ sub: "me", iat: 1_700_000_000 }, secret);
    const key = createPrivateKey(PRIVATE);
    const signed = jwt.sign({ sub: "me" }, key, { algorithm: "ES256", noTimestamp: true, keyid: "one" });
    const open = createPublicKey(key);
    const later = await new Promise((resolve) => jwt.verify(signed, open, (error, payload) => resolve(payload ?? error.name)));
    return Response.json([
      token,
      jwt.verify(token, secret),
      failure(() => jwt.verify(`${token}x`, secret)),
      failure(() => jwt.verify(token, secret, { maxAge: "1h" })),
      jwt.decode(signed, { complete: true }).header,
      later,
      failure(() => jwt.verify(signed, open, { algorithms: ["RS256"] })),
    ]);
  },
};
