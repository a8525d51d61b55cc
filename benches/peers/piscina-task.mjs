export default function nothing() {}

export const total = (order) => ({ id: order.id, sum: order.count * order.price, paid: !order.open });

export function work() {
  let sum = 0;
  for (let i = 0; i < 30_000; i++) sum = (sum + i * 7) % 1000003;
  return sum;
}
