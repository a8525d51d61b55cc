const response = await fetch("/api/time");
const { now } = await response.json();
document.querySelector("#time").textContent = now;
