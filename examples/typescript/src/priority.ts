// JSON is imported as it is; no loader, no plugin.
import defaults from "./defaults.json";

// An enum needs code: this is more than taking types away.
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
