self.onmessage = () => self.postMessage(1);
self.postMessage(1);
