import { storeContract } from '../contract/store.ts';
import { FakeStore } from '../fakes/log.ts';
import { committedBytes } from './made.ts';
import { Place } from './place.ts';

storeContract('fake store', () => ({ store: new FakeStore(committedBytes), close: async () => {} }));

storeContract('SQLite store', () => {
  const place = new Place(null);
  const store = place.store();
  store.start();
  return {
    store,
    close: async () => {
      await store.stop();
      place.remove();
    },
  };
});
