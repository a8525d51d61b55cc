import BigNumber from "bignumber.js";
import Decimal from "decimal.js";
import Long from "long";

export default {
  fetch: () =>
    Response.json([new BigNumber("0.1").plus("0.2").toString(), Decimal.sqrt(2).toFixed(30), Long.fromString("9223372036854775807").toString()]),
};
