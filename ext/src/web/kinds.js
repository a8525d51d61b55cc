// Kinds of objects.

(function () {
const { ObjectFreeze } = __bootstrap.primordials;

/** The numbers returned by `op_isopod_kind_of`. */
return ObjectFreeze({
  __proto__: null,
  PROXY: 1,
  VIEW: 2,
  BUFFER: 3,
  MAP: 4,
  SET: 5,
  STRING: 6,
  ERROR: 7,
  REG_EXP: 8,
});
})();
