CREATE TABLE products (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  cents INTEGER NOT NULL
);

CREATE TABLE orders (
  id TEXT PRIMARY KEY,
  customer TEXT NOT NULL,
  product_id INTEGER NOT NULL REFERENCES products (id),
  quantity INTEGER NOT NULL,
  cents INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'open',
  created INTEGER NOT NULL
);

CREATE INDEX orders_of_customer ON orders (customer, created);

INSERT INTO products (id, name, cents) VALUES (1, 'Lantern', 1900), (2, 'Rope', 750), (3, 'Compass', 4200);
