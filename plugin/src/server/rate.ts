/** Token buckets: pure arithmetic on a clock that the caller passes. */
export interface Rate {
  perSecond: number;
  burst: number;
}

interface Bucket {
  left: number;
  at: number;
}

/** One bucket per key. The number of keys is bounded; the key unused for longest goes first. */
export class Buckets {
  readonly #rate: Rate;
  readonly #maxKeys: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate, maxKeys = 4096) {
    this.#rate = rate;
    this.#maxKeys = maxKeys;
  }

  /** Takes one from the key's bucket. @returns 0 when granted, else the seconds until the next one is */
  take(key: string, now: number): number {
    const { perSecond, burst } = this.#rate;
    const bucket = this.#buckets.get(key) ?? { left: burst, at: now };
    bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    // Deleted and set again, so that the map's order is the order of use.
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > this.#maxKeys) {
      const oldest = this.#buckets.keys().next().value;
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    if (bucket.left >= 1) {
      bucket.left -= 1;
      return 0;
    }
    return Math.max(1, Math.ceil((1 - bucket.left) / perSecond));
  }
}
