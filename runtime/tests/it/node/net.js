// Checks of `node:net` against servers of this test: https://nodejs.org/api/net.html

import net, { BlockList, connect, createConnection, isIP, Socket, SocketAddress } from "node:net";
import { once } from "node:events";
import { inherits } from "node:util";

const collected = async (stream) => {
  let text = "";
  for await (const chunk of stream.setEncoding("utf8")) text += chunk;
  return text;
};
const failure = (socket) => new Promise((resolve) => socket.on("error", resolve));

/** `echo`: sends back what it receives. `closed`: nothing listens there. `silent`: accepts, and sends nothing. */
export const clients = (echo, closed, silent) =>
  checks({
    "events and states": async () => {
      const socket = new Socket();
      const seen = [socket.readyState, socket.pending];
      for (const name of ["connect", "ready", "end", "close"]) socket.on(name, (value) => seen.push(value === undefined ? name : [name, value]));
      socket.connect(echo, "127.0.0.1", () => seen.push(socket.readyState));
      seen.push(socket.readyState, socket.connecting);
      const text = collected(socket);
      socket.end("hello");
      const got = await text;
      await once(socket, "close").catch(() => {});
      return JSON.stringify([got, seen]) === '["hello",["open",true,"opening",true,"connect","readOnly","ready","end",["close",false]]]' || JSON.stringify([got, seen]);
    },
    "addresses and counts": async () => {
      const socket = connect({ port: echo, host: "127.0.0.1" });
      socket.write("before it is there");
      await once(socket, "data");
      const is = [socket.remoteAddress, socket.remotePort, socket.remoteFamily, socket.localAddress, socket.localPort === socket.address().port, socket.bytesRead, socket.bytesWritten];
      socket.destroy();
      return JSON.stringify(is) === JSON.stringify(["127.0.0.1", echo, "IPv4", "127.0.0.1", true, 18, 18]) || JSON.stringify(is);
    },
    "bytes are counted once, from when they are written": async () => {
      const socket = connect({ port: echo, host: "127.0.0.1" });
      const counts = [socket.bytesWritten];
      const count = () => counts.push(socket.bytesWritten);
      for (const text of ["\u00e9", "ab", "c"]) {
        socket.write(text);
        count();
      }
      await once(socket, "connect");
      count();
      await new Promise((done) => socket.write("de", done));
      count();
      socket.destroy();
      return JSON.stringify(counts) === "[0,2,4,5,5,7]" || JSON.stringify(counts);
    },
    "large data both ways": async () => {
      const socket = createConnection(echo, "localhost");
      const sent = Buffer.alloc(3_000_000, "0123456789abcdef");
      socket.end(sent);
      const chunks = [];
      for await (const chunk of socket) chunks.push(chunk);
      return Buffer.concat(chunks).equals(sent);
    },
    "write says when to wait": async () => {
      const socket = connect(echo, "127.0.0.1");
      const went = socket.write(Buffer.alloc(1_000_000));
      socket.resume();
      await once(socket, "drain");
      socket.destroy();
      return went === false;
    },
    "half open": async () => {
      const socket = connect({ port: echo, host: "127.0.0.1", allowHalfOpen: true });
      socket.end("x");
      const text = await collected(socket);
      return text === "x" && socket.destroyed;
    },
    "a refused connection": async () => {
      const socket = connect(closed, "127.0.0.1");
      const { code, syscall, address, port, message, errno } = await failure(socket);
      const [hadError] = await once(socket, "close");
      return hadError === true && code === "ECONNREFUSED" && syscall === "connect" && address === "127.0.0.1" && port === closed && message === `connect ECONNREFUSED 127.0.0.1:${closed}` && errno === -111;
    },
    "an unknown name": async () => {
      const { code, syscall, hostname } = await failure(connect(80, "nothing.invalid"));
      return code === "ENOTFOUND" && syscall === "getaddrinfo" && hostname === "nothing.invalid";
    },
    "a timeout": async () => {
      const socket = connect({ port: silent, host: "127.0.0.1" });
      let called = 0;
      socket.setTimeout(30, () => called++);
      await once(socket, "timeout");
      const is = !socket.destroyed && called === 1 && socket.timeout === 30;
      socket.destroy();
      return is;
    },
    "destroyed before it connects": async () => {
      const socket = connect(echo, "127.0.0.1");
      const written = new Promise((resolve) => socket.write("x", (error) => resolve(error?.code)));
      socket.on("connect", () => { throw new Error("connected"); });
      socket.destroy();
      await once(socket, "close");
      return ["ERR_SOCKET_CLOSED_BEFORE_CONNECTION", "ERR_STREAM_DESTROYED"].includes(await written);
    },
    "connects again": async () => {
      const socket = connect(echo, "127.0.0.1");
      await once(socket, "connect");
      socket.destroy();
      await once(socket, "close");
      socket.connect(echo, "127.0.0.1");
      socket.write("again");
      const [data] = await once(socket, "data");
      socket.destroy();
      return data.toString() === "again";
    },
    "a lookup of its own": async () => {
      const socket = connect({ port: echo, host: "my.host", lookup: (host, options, done) => setTimeout(options.all ? () => done(null, [{ address: "127.0.0.1", family: 4 }]) : () => done(null, "127.0.0.1", 4), 1) });
      const [error, address, family, host] = await once(socket, "lookup");
      await once(socket, "connect");
      socket.destroy();
      return error === null && address === "127.0.0.1" && family === 4 && host === "my.host";
    },
    "onread": async () => {
      let text = "";
      const buffer = Buffer.alloc(4);
      const socket = connect({ port: echo, host: "127.0.0.1", onread: { buffer, callback: (count, bytes) => { text += bytes.toString("latin1", 0, count); } } });
      socket.end("0123456789");
      await once(socket, "close");
      return text === "0123456789" || text;
    },
    "functions extend it": () => {
      function Mine() {
        Socket.call(this);
      }
      inherits(Mine, Socket);
      return new Mine() instanceof net.Stream && Socket() instanceof Socket && new Mine().setNoDelay().setKeepAlive(true).unref().ref() instanceof Mine;
    },
    "what is not there": () =>
      thrown(() => net.createServer()).code === "ERR_METHOD_NOT_IMPLEMENTED" && thrown(() => new net.Server()) !== undefined &&
      thrown(() => connect("/tmp/socket")).message.includes("socket of the file system") && thrown(() => new Socket({ fd: 1 })).code === "ERR_METHOD_NOT_IMPLEMENTED" &&
      thrown(() => connect(70000)).code === "ERR_SOCKET_BAD_PORT" && thrown(() => connect({})).code === "ERR_MISSING_ARGS",
  });

/** A connection that is refused by the rules of the network says so. */
export const guarded = (port) =>
  checks({
    "by address": async () => /not reach|private|allow/.test((await failure(connect(port, "127.0.0.1"))).message) || (await failure(connect(port, "127.0.0.1"))).message,
  });

export const names = () =>
  checks({
    // https://nodejs.org/api/net.html#netisipinput
    "isIP": () => isIP("::1") === 6 && isIP("127.0.0.1") === 4 && isIP("127.000.000.001") === 0 && isIP("127.0.0.1/24") === 0 && isIP("fhqwhgads") === 0 && net.isIPv4("1.2.3.4") && net.isIPv6("fe80::1%eth0"),
    // https://nodejs.org/api/net.html#class-netblocklist
    "BlockList": () => {
      const list = new BlockList();
      list.addAddress("123.123.123.123");
      list.addRange("10.0.0.1", "10.0.0.10");
      list.addSubnet("8592:757c:efae:4e45::", 64, "ipv6");
      return list.check("123.123.123.123") && list.check("10.0.0.3") && !list.check("222.111.111.222") && list.check("::ffff:7b7b:7b7b", "ipv6") && list.check("::ffff:123.123.123.123", "ipv6") &&
        list.check("8592:757c:efae:4e45::1", "ipv6") && !list.check("8592:757c:efae:4e46::1", "ipv6") && list.check(new SocketAddress({ address: "10.0.0.10" })) && !list.check("10.0.0.11") &&
        list.rules.join() === "Subnet: IPv6 8592:757c:efae:4e45::/64,Range: IPv4 10.0.0.1-10.0.0.10,Address: IPv4 123.123.123.123" && BlockList.isBlockList(list) && !BlockList.isBlockList({});
    },
    // https://nodejs.org/api/net.html#class-netsocketaddress
    "SocketAddress": () => {
      const one = new SocketAddress();
      const other = new SocketAddress({ address: "::1", family: "ipv6", port: 80, flowlabel: 1 });
      return one.address === "127.0.0.1" && one.family === "ipv4" && one.port === 0 && other.address === "::1" && other.flowlabel === 1 && SocketAddress.parse("[::1]:80").port === 80 &&
        SocketAddress.parse("1.2.3.4:5").address === "1.2.3.4" && SocketAddress.parse("nothing") === undefined && thrown(() => new SocketAddress({ address: "nothing" })).code === "ERR_INVALID_ADDRESS";
    },
  });
