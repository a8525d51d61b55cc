// Checks of `node:tls`. https://nodejs.org/api/tls.html

import tls, { checkServerIdentity, connect, createSecureContext, TLSSocket } from "node:tls";
import { connect as connectPlain, Socket } from "node:net";
import { once } from "node:events";

const failure = (socket) => new Promise((resolve) => socket.on("error", resolve));

/** `port`: a server with TLS that sends back what it receives; `ca`: its certificate. */
export const clients = (port, ca) =>
  checks({
    "a connection": async () => {
      const socket = connect({ port, host: "localhost", ca, ALPNProtocols: ["echo"] }, () => socket.end("secret"));
      const before = [socket.authorized, socket.encrypted, socket.getProtocol(), socket.getPeerCertificate()];
      await once(socket, "secureConnect");
      const after = [socket.authorized, socket.getProtocol(), socket.getCipher().version, socket.getCipher().name.startsWith("TLS_"), socket.alpnProtocol, socket instanceof Socket];
      let text = "";
      for await (const chunk of socket.setEncoding("utf8")) text += chunk;
      const is = JSON.stringify([text, before, after]);
      return is === '["secret",[false,true,null,null],[true,"TLSv1.3","TLSv1.3",true,"echo",true]]' || is;
    },
    "TLS 1.2": async () => {
      const socket = connect(port, "localhost", { ca: [Buffer.from(ca)], maxVersion: "TLSv1.2" });
      await once(socket, "secureConnect");
      const { name, standardName } = socket.getCipher();
      const protocol = socket.getProtocol();
      socket.destroy();
      return protocol === "TLSv1.2" && tls.getCiphers().includes(name.toLowerCase()) && standardName.startsWith("TLS_ECDHE_") && socket.alpnProtocol === false;
    },
    "the certificate": async () => {
      let checked;
      const socket = connect({ port, host: "localhost", secureContext: createSecureContext({ ca }), checkServerIdentity: (...given) => void (checked = given) });
      await once(socket, "secureConnect");
      const certificate = socket.getPeerCertificate();
      const { subjectAltName } = socket.getPeerX509Certificate();
      socket.destroy();
      return checked[0] === "localhost" && checked[1].fingerprint256 === certificate.fingerprint256 && certificate.subjectaltname.includes("DNS:localhost") &&
        checkServerIdentity("localhost", certificate) === undefined && subjectAltName.includes("localhost");
    },
    "over a socket": async () => {
      const plain = connectPlain(port, "localhost");
      const socket = connect({ socket: plain, servername: "localhost", ca });
      socket.write("upgraded");
      const [data] = await once(socket, "data");
      const both = Promise.all([once(plain, "close"), once(socket, "close")]);
      socket.end();
      await both;
      return data.toString() === "upgraded" && thrown(() => new TLSSocket({}, {})).message.includes("Socket of node:net");
    },
    "another authority": async () => {
      const socket = connect({ port, host: "localhost" });
      const { code } = await failure(socket);
      return code === "UNABLE_TO_GET_ISSUER_CERT_LOCALLY" && socket.authorized === false && socket.authorizationError === code || code;
    },
    "another name": async () => (await failure(connect({ port, host: "localhost", servername: "other.example", ca }))).code === "ERR_TLS_CERT_ALTNAME_INVALID",
    "a check of its own": async () => (await failure(connect({ port, host: "localhost", ca, checkServerIdentity: () => new Error("mine") }))).message === "mine",
    "what is not there": () =>
      thrown(() => connect({ port, rejectUnauthorized: false })).message.includes("`ca`") && thrown(() => connect({ port, pfx: "a" })).code === "ERR_METHOD_NOT_IMPLEMENTED" &&
      thrown(() => tls.createServer()).code === "ERR_METHOD_NOT_IMPLEMENTED" && thrown(() => createSecureContext({ ca: "none" })).message.includes("no certificate") &&
      thrown(() => connect({ port, secureContext: {} })).code === "ERR_TLS_INVALID_CONTEXT",
  });

// https://nodejs.org/api/tls.html#tlscheckserveridentityhostname-cert, and RFC 6125, section 6.4
export const identities = () => {
  const is = (host, cert) => checkServerIdentity(host, cert)?.code ?? "ok";
  const wrong = "ERR_TLS_CERT_ALTNAME_INVALID";
  const named = (...names) => ({ subject: { CN: "other.example" }, subjectaltname: names.join(", ") });
  return checks({
    "names": () => is("a.example", named("DNS:b.example", "DNS:a.example")) === "ok" && is("A.example.", named("DNS:a.EXAMPLE")) === "ok" && is("other.example", named("DNS:a.example")) === wrong,
    "wildcards": () =>
      is("a.b.example", named("DNS:*.b.example")) === "ok" && is("b.example", named("DNS:*.b.example")) === wrong && is("a.a.b.example", named("DNS:*.b.example")) === wrong &&
      is("b.example", named("DNS:*.example")) === wrong && is("foo1.b.example", named("DNS:foo*.b.example")) === "ok" && is("a.b.example", named("DNS:a.*.example")) === wrong,
    "addresses": () => is("1.2.3.4", named("IP Address:1.2.3.4")) === "ok" && is("1.2.3.4", named("DNS:1.2.3.4")) === wrong && is("::1", named("IP Address:0:0:0:0:0:0:0:1")) === "ok",
    "the common name": () => is("a.example", { subject: { CN: "a.example" } }) === "ok" && is("a.example", { subject: {} }) === wrong,
    "the error": () => checkServerIdentity("a.example", named("DNS:b.example")).reason === "Host: a.example. is not in the cert's altnames: DNS:b.example",
  });
};
