// Shared by the checks of this folder. Each exported check returns the names of failed cases.

const checks = async (list) => {
  const failed = [];
  for (const [name, check] of Object.entries(list)) {
    try {
      const result = await check();
      if (result !== true) failed.push(`${name}: ${JSON.stringify(result)}`);
    } catch (error) {
      failed.push(`${name}: ${error}`);
    }
  }
  return failed;
};

/** Returns true if a DataCloneError is thrown. */
const refusal = (act) => {
  try {
    act();
    return "not refused";
  } catch (error) {
    return error instanceof DOMException && error.name === "DataCloneError" || String(error);
  }
};

const thrown = (act) => {
  try {
    act();
  } catch (error) {
    return error;
  }
};

const soon = () => new Promise((resolve) => setTimeout(resolve, 5));
const message = (port) => new Promise((resolve) => port.onmessage = resolve);

