// Primes for `node:crypto`. The search is in JavaScript, where the CPU limit can end it; an op tests one number.

(function () {
const { core, primordials } = __bootstrap;
const { ops } = core;
const { byteLengthOf } = core.loadExtScript("ext:isopod_quotas/texts.js");
const {
  ArrayPrototypeJoin,
  BigInt,
  BigIntPrototypeToString,
  MathCeil,
  MathMin,
  NumberParseInt,
  RangeError,
  StringPrototypePadStart,
  StringPrototypeSlice,
  Uint8Array,
} = primordials;

/** Maximum length: a test of one number takes some tenths of a second. */
const BITS_MAX = 4096;
/** Rounds of a test per op. */
const ROUNDS = 4;
/** The default of Node.js for long numbers. */
const USUAL_CHECKS = 64;

function checkLength(bits) {
  if (bits > BITS_MAX) throw new RangeError(`a prime of ${bits} bits is above the limit of ${BITS_MAX}`);
}

function isPrime(bytes, checks) {
  checkLength(8 * byteLengthOf(bytes));
  let left = MathMin(checks, USUAL_CHECKS);
  do {
    if (!ops.op_node_check_prime_bytes(bytes, MathMin(left, ROUNDS))) return false;
    left -= ROUNDS;
  } while (left > 0);
  return true;
}

function numberOf(bytes) {
  const digits = ["0x0"];
  for (let i = 0; i < bytes.length; i++) {
    digits[i + 1] = StringPrototypePadStart(BigIntPrototypeToString(BigInt(bytes[i]), 16), 2, "0");
  }
  return BigInt(ArrayPrototypeJoin(digits, ""));
}

function bytesOf(number) {
  const hex = BigIntPrototypeToString(number, 16);
  const bytes = new Uint8Array(MathCeil(hex.length / 2));
  const digits = StringPrototypePadStart(hex, 2 * bytes.length, "0");
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = NumberParseInt(StringPrototypeSlice(digits, 2 * i, 2 * i + 2), 16);
  }
  return bytes;
}

/** The product of the primes from 3 to 211: most numbers share a factor with it. */
const SMALL_PRIMES = 0x6c7048132eea9cd9637b0cd124eaffa0e4b07e01cef1f5e051e5a32e6bd17193688bdfn;

function gcd(one, other) {
  while (other !== 0n) ({ one, other } = { one: other, other: one % other });
  return one;
}

/** Returns a random number of this many bits. */
function random(bits) {
  const bytes = new Uint8Array(MathCeil(bits / 8));
  core.loadExtScript("ext:isopod_node/crypto_ops.js").fillRandom(bytes);
  const top = 1n << BigInt(bits - 1);
  return (numberOf(bytes) & (top - 1n)) | top;
}

/** https://nodejs.org/api/crypto.html#cryptogenerateprimesyncsize-options */
function generate(bits, isSafe, add, rem) {
  checkLength(bits);
  if (bits < 2) throw new RangeError("bits too small");
  const step = add === null ? 2n : numberOf(add);
  const rest = rem === null ? (add !== null && isSafe ? 3n : 1n) : numberOf(rem);
  const most = 1n << BigInt(bits);
  const least = most >> 1n;
  // Few candidates are tried in turn, many at random.
  const isSparse = (add !== null && step >= least) || (isSafe && bits === 2);
  let next = least + ((rest - least) % step + step) % step;
  while (true) {
    let candidate = next;
    if (isSparse) {
      if (candidate >= most) throw new RangeError("prime generation failed: no suitable prime found in range");
      next += step;
    } else {
      const at = random(bits);
      candidate = at - ((at - rest) % step + step) % step;
      if (candidate < least) continue;
      if (bits > 64 && gcd(SMALL_PRIMES, candidate) !== 1n) continue;
    }
    const bytes = bytesOf(candidate);
    if (isSafe && !isPrime(bytesOf((candidate - 1n) >> 1n), 1)) continue;
    if (isPrime(bytes, USUAL_CHECKS / 4)) return bytes;
  }
}

const primeOps = {
  __proto__: null,
  op_node_check_prime_bytes: isPrime,
  op_node_check_prime_bytes_async: async (bytes, checks) => isPrime(bytes, checks),
  op_node_gen_prime: generate,
  op_node_gen_prime_async: async (bits, isSafe, add, rem) => generate(bits, isSafe, add, rem),
};

return { primeOps };
})();
