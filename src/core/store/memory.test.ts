import { storeContract } from './contract.ts';
import { memoryRows, openMemoryStore } from './memory.ts';

storeContract('memory', () => {
  const rows = memoryRows();
  return { open: () => openMemoryStore(rows), remove: () => undefined };
});
