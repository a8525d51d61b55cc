import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

export const products = sqliteTable("products", {
  id: integer("id").primaryKey(),
  name: text("name").notNull(),
  cents: integer("cents").notNull(),
});

export const orders = sqliteTable("orders", {
  id: text("id").primaryKey(),
  customer: text("customer").notNull(),
  productId: integer("product_id").notNull(),
  quantity: integer("quantity").notNull(),
  cents: integer("cents").notNull(),
  /** `open`, `receipted` once the receipt is written, then `closed`. */
  state: text("state").notNull().default("open"),
  created: integer("created").notNull(),
});
