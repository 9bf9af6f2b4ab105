/** A small shop: enough to ask questions of. The personal data is made up; it is there for redaction to find. */
export const SAMPLE = `
CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL, email text NOT NULL, phone text, city text NOT NULL, since date NOT NULL);
CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer NOT NULL REFERENCES customers, item text NOT NULL, amount numeric(10,2) NOT NULL, ordered date NOT NULL);
INSERT INTO customers VALUES
  (1, 'Ada Moreau', 'ada.moreau@example.org', '+33 1 42 68 53 00', 'Paris', '2023-02-11'),
  (2, 'Ben Okafor', 'ben.okafor@example.org', '+44 20 7946 0018', 'London', '2023-06-30'),
  (3, 'Clara Nilsen', 'clara.nilsen@example.org', NULL, 'Oslo', '2024-01-05'),
  (4, 'Dario Conti', 'dario.conti@example.org', '+39 06 6982 4545', 'Rome', '2024-09-17');
INSERT INTO orders VALUES
  (1001, 1, 'standing desk', 640.00, '2026-08-02'),
  (1002, 1, 'desk lamp', 49.90, '2026-08-02'),
  (1003, 2, 'office chair', 389.00, '2026-09-14'),
  (1004, 3, 'whiteboard', 120.50, '2026-10-01'),
  (1005, 4, 'monitor arm', 99.00, '2026-11-03');
`;
