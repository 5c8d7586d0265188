import fc from 'fast-check';

/** Up to thirty jobs of any length within fifty minutes. */
export const traces = fc
  .array(
    fc.record({
      queuedAt: fc.double({ min: 0, max: 3_000, noNaN: true }).map((at) => Math.round(at * 10) / 10),
      durationSeconds: fc.oneof(fc.nat({ max: 30 }), fc.nat({ max: 900 })),
    }),
    { minLength: 1, maxLength: 30 },
  )
  .map((jobs) => jobs.sort((a, b) => a.queuedAt - b.queuedAt));
