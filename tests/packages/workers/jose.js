import { jwtVerify, SignJWT } from "jose";

const key = new TextEncoder().encode("a secret of at least thirty-two bytes");
export default {
  async fetch() {
    const token = await new SignJWT({ admin: true }).setProtectedHeader({ alg: "HS256" }).setIssuedAt(1_700_000_000).sign(key);
    const { payload } = await jwtVerify(token, key);
    const forged = await jwtVerify(`${token}x`, key).catch((error) => error.code);
    return Response.json([token, payload, forged]);
  },
};
