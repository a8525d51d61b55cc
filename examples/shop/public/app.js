const find = (selector) => document.querySelector(selector);
const price = (cents) => `${(cents / 100).toFixed(2)} €`;

async function api(method, path, body, type = "application/json") {
  const response = await fetch(`/api/${path}`, { method, body, headers: body === undefined ? {} : { "content-type": type } });
  const answer = response.status === 204 ? null : await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

async function showProducts() {
  const products = await api("GET", "products");
  find("#products").replaceChildren(...products.map((product) => {
    const image = element("img", { src: `/images/${product.id}`, alt: "", onerror: () => image.hidden = true });
    const file = element("input", { type: "file", accept: "image/png,image/jpeg,image/svg+xml" });
    file.onchange = told(async () => {
      await api("PUT", `products/${product.id}/image`, file.files[0], file.files[0].type);
      image.hidden = false;
      image.src = `/images/${product.id}?${Date.now()}`;
    });
    const buy = element("button", { textContent: "Buy 10", onclick: told(() => order(product.id, 10)) });
    return element("li", {}, image, ` ${product.name}, ${price(product.cents)} `, buy, " ", file);
  }));
}

async function order(product, quantity) {
  await api("POST", "orders", JSON.stringify({ product, quantity }));
  await showOrders();
}

async function showOrders() {
  const orders = await api("GET", "orders");
  find("#orders").replaceChildren(...orders.map((order) => {
    const receipt = element("a", { href: `/api/orders/${order.id}/receipt`, textContent: "receipt" });
    return element("li", { className: order.state }, `${order.quantity} pieces, ${price(order.cents)}, ${order.state} `, ...(order.state === "open" ? [] : [receipt]));
  }));
  if (orders.some((order) => order.state === "open")) setTimeout(told(showOrders), 500);
}

function chat() {
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}/api/chat`);
  socket.onmessage = ({ data }) => {
    const { name, text } = JSON.parse(data);
    find("#messages").append(element("li", { textContent: `${name}: ${text}` }));
  };
  socket.onclose = () => setTimeout(chat, 1000);
  find("#chat").onsubmit = (event) => {
    event.preventDefault();
    socket.send(event.target.elements.text.value);
    event.target.reset();
  };
}

/** Shows an error of an action instead of losing it. */
function told(action) {
  return async (...args) => {
    find("#error").textContent = "";
    try {
      await action(...args);
    } catch (error) {
      find("#error").textContent = error.message;
    }
  };
}

find("#login").onsubmit = told(async (event) => {
  event.preventDefault();
  await api("POST", "login", JSON.stringify({ name: event.target.elements.name.value }));
  find("#login").hidden = true;
  find("main").hidden = false;
  await Promise.all([showProducts(), showOrders()]);
  chat();
});
