// The module `node:console`: https://nodejs.org/api/console.html

(function () {
const { primordials } = __bootstrap;
const { ObjectAssign } = primordials;
const { console } = globalThis;

return { ...ObjectAssign({}, console), console, default: console };
})();
