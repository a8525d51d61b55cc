import bcrypt from "bcryptjs";

export default {
  async fetch() {
    const hash = await bcrypt.hash("a password", 4);
    return Response.json([
      hash.length,
      await bcrypt.compare("a password", hash),
      await bcrypt.compare("another", hash),
      bcrypt.hashSync("a password", "$2b$04$abcdefghijklmnopqrstuu"),
    ]);
  },
};
