// What the page says, by the `code` of the proxy's answer or by the state of the reservation.
'use strict';

const WORDS = {
  ready: { mood: 'calm', headline: 'Flash sale', detail: 'Press the button, and you know at once whether you have it.' },
  upcoming: { mood: 'calm', headline: 'Flash sale', detail: 'It has not started yet. Press the button now, and we ask for you at the moment it starts.', label: 'It starts in' },
  gone: { mood: 'calm', headline: 'Sold out for now', detail: 'Some are still held for buyers who have not paid yet. Press the button, and we try to get the first that comes back.' },
  asking: { mood: 'calm', headline: 'We ask for you …', detail: '' },
  paying: { mood: 'good', headline: 'Your payment is on its way …', detail: '' },

  // It is to be tried again.
  not_started: { mood: 'wait', headline: 'It has not started yet', detail: 'Stay on this page: we ask for you at the moment it starts.', label: 'It starts in' },
  sold_out: { mood: 'wait', headline: 'Sold out for now', detail: 'Some are still held for buyers who have not paid yet. If one comes back, we try to get it for you.', label: 'We try again in' },
  limited: { mood: 'wait', headline: 'Very many people are asking', detail: 'Nothing is decided yet. We ask again for you.', label: 'We try again in' },
  paused: { mood: 'wait', headline: 'The sale is paused', detail: 'It goes on soon. We ask again for you.', label: 'We try again in' },
  unavailable: { mood: 'wait', headline: 'There was no answer', detail: 'Nothing is lost. We ask again: if you have one already, you get that one and not a second.', label: 'We try again in' },
  in_progress: { mood: 'wait', headline: 'The shop is working on it', detail: 'We ask again for you.', label: 'We try again in' },
  payment_unknown: { mood: 'wait', headline: 'We do not know yet whether you have paid', detail: 'We ask again. You do not pay twice.', label: 'We try again in' },

  // It is his.
  held: { mood: 'good', headline: 'You have it', detail: 'It is kept for you.', label: 'Pay within' },
  confirmed: { mood: 'good', headline: 'Paid. It is yours!', detail: 'Thank you. The kettle is on its way.' },

  // It is over.
  sold_out_for_good: { mood: 'over', headline: 'Sold out', detail: 'All of them are sold.' },
  ended: { mood: 'over', headline: 'The sale is over', detail: 'Thank you for coming.' },
  expired: { mood: 'over', headline: 'The time to pay is over', detail: 'It went back on sale. Nothing was charged. You can try again.' },
  cancelled: { mood: 'over', headline: 'You do not have it any more', detail: 'It was given back. Nothing was charged.' },
  no_buyer: { mood: 'over', headline: 'We do not know who you are', detail: 'Allow cookies for this shop, and load the page again.' },
  unknown_sale: { mood: 'over', headline: 'There is no such sale', detail: '' },
  failed: { mood: 'over', headline: 'That did not work', detail: 'It is not your fault. You can try again.' },
};

// Other codes that mean the same to a buyer.
Object.assign(WORDS, {
  client_limited: WORDS.limited,
  shop_unavailable: WORDS.unavailable,
  bad_cookie: WORDS.no_buyer,
  expired_cookie: WORDS.no_buyer,
});

// 899000 is 14:59.
function span(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const two = (number) => String(number).padStart(2, '0');
  const [days, hours, minutes] = [86400, 3600, 60].map((unit) => Math.floor(seconds / unit));
  const clock = `${two(minutes % 60)}:${two(seconds % 60)}`;
  if (days > 0) return `${days} d ${two(hours % 24)}:${clock}`;
  return hours > 0 ? `${hours}:${clock}` : clock;
}
