import CryptoJS from "crypto-js";
import nacl from "tweetnacl";

export default {
  fetch: () => Response.json([CryptoJS.SHA256("a").toString(), CryptoJS.AES.decrypt(CryptoJS.AES.encrypt("b", "k"), "k").toString(CryptoJS.enc.Utf8), nacl.hash(new Uint8Array(1)).length]),
};
