// Detects motion: pixels whose brightness differs from the previous frame by more than the model's threshold.

import { env } from "isopod:workers";

let model;
const before = new Map();

async function fetchModel() {
  const response = await fetch(env.MODEL_URL, { signal: AbortSignal.timeout(5_000) }).catch((error) => {
    const why = error.cause?.message ?? error.message;
    throw new Error(`the model server at ${env.MODEL_URL} cannot be reached: ${why}`, { cause: error });
  });
  if (!response.ok) throw new Error(`the model server at ${env.MODEL_URL} answered ${response.status}`);
  const { name, contrast, pixels } = await response.json();
  if (!(contrast > 0 && pixels > 0)) throw new TypeError(`the model at ${env.MODEL_URL} lacks \`contrast\` or \`pixels\``);
  return { name, contrast, pixels };
}

// Fetched once per worker, and again after a failure.
function theModel() {
  return (model ??= fetchModel().catch((error) => {
    model = undefined;
    throw error;
  }));
}

/** Fails unless the detector works. Returns the name of its model. */
export async function ready() {
  return (await theModel()).name;
}

/** The box around what moved in a monitor's frame, or `null`. */
export async function detect(monitor, width, height, pixels) {
  if (pixels.length !== width * height) {
    throw new RangeError(`a frame of ${width} by ${height} has ${width * height} pixels, not ${pixels.length}`);
  }
  const { contrast, pixels: least } = await theModel();
  const last = before.get(monitor);
  before.set(monitor, pixels);
  if (last?.length !== pixels.length) return null;

  let changed = 0;
  let left = width, top = height, right = -1, bottom = -1;
  for (let at = 0; at < pixels.length; at++) {
    if (Math.abs(pixels[at] - last[at]) < contrast) continue;
    changed++;
    const x = at % width;
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, Math.floor(at / width));
    bottom = Math.floor(at / width);
  }
  return changed < least ? null : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

/** Drops the state of a monitor. */
export function forget(monitor) {
  before.delete(monitor);
}
