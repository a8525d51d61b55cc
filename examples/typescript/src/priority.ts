// JSON is imported as a value, without a loader or plugin.
import defaults from "./defaults.json";

// An enum has to be compiled: removing types is not enough.
export enum Priority {
  Low,
  Normal,
  High,
}

export function parsePriority(name: string = defaults.priority): Priority {
  const priority = Priority[name as keyof typeof Priority];
  if (priority === undefined) throw new RangeError(`no such priority: ${name}`);
  return priority;
}
