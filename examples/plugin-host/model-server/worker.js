// The model server that the detector connects to when it is loaded.

export default {
  fetch: () => Response.json({ name: "moving-things-1", contrast: 40, pixels: 4 }),
};
