import { describe, expect, it } from 'vitest';
import * as shown from '../../../simulator/report/number-format.ts';

describe('figures', () => {
  it.each([
    [shown.seconds(97.913), '97.9 s'],
    [shown.seconds(122.1), '122 s'],
    [shown.percent(-0.811), '−81 %'],
    [shown.price(5354.4, 'US dollars a month'), '$5,354'],
    [shown.price(55.81, 'instance-hours'), '55.8'],
    [shown.priceInWords(5354.4, 'US dollars a month'), '$5,354 a month'],
    [shown.change(104, 100), '+4.0 %'],
    [shown.change(88, 100), '−12 %'],
    [shown.change(100.01, 100), 'same'],
    [shown.change(1, 0), 'more'],
    [shown.difference(30, 42.34), '−12.3 s'],
    [shown.difference(42.02, 42), 'same'],
    [shown.clock(90_060), 'day 2, 01:01'],
    [shown.clock(60, Date.UTC(2026, 5, 1, 8)), '2026-06-01, 08:01'],
    [shown.clock(60, Date.UTC(2026, 5, 1, 23), 'Europe/Berlin'), '2026-06-02, 01:01'],
    [shown.jobPrice(0.00978), '0.98 cents'],
    [shown.jobPrice(0.00999), '1.0 cents'],
    [shown.jobPrice(0.0377), '3.8 cents'],
    [shown.jobPrice(0.377), '38 cents'],
    [shown.jobPrice(1.234), '$1.23'],
    [shown.standing(160.4, 159.6, shown.whole), 'same'],
    [shown.standing(160.6, 159.6, shown.whole), 'worse'],
    [shown.standing(159.4, 160.6, shown.whole), 'better'],
    [shown.span(0.025), '90 s'],
    [shown.span(0.5), '30 minutes'],
    [shown.work(0.5), '30 minutes'],
    [shown.work(1.5), '1.5 hours'],
    [shown.work(6_120), '6,120 hours'],
    [shown.span(8.9), '8.9 hours'],
    [shown.span(110.9), '4.6 days'],
    [shown.span(1011.2), '42 days'],
    [shown.duration(33), '33 s'],
    [shown.duration(3_660), '61 minutes'],
  ])('%s is %s', (said, expected) => {
    expect(said).toBe(expected);
  });
});
