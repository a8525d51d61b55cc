// Decides which orders are accepted. `decide` may be async; the caller waits in either case.

const stock = { tea: 10, coffee: 2 };

export async function decide({ item, number }) {
  if (item === "riddle") for (;;);
  if (!(item in stock)) throw new RangeError(`no such item: ${item}`);
  return number <= stock[item]
    ? { accepted: true, reason: `${stock[item] - number} are left` }
    : { accepted: false, reason: `only ${stock[item]} are there` };
}
