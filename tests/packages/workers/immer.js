import { enablePatches, produce, produceWithPatches } from "immer";

enablePatches();
export default {
  fetch: () => Response.json([produce({ a: [1] }, (draft) => void draft.a.push(2)), produceWithPatches({ b: 1 }, (d) => void (d.b = 2))[1]]),
};
