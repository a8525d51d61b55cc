// Composes a greeting. `visits` comes from the program's database.
export function greet(name, visits) {
  const times = visits === 1 ? "once" : `${visits} times by now`;
  return `Hello ${name}, you have been here ${times}.`;
}
