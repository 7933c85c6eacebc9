/* SPDX-License-Identifier: MIT
 *
 * cancel.c - a token of the thread side, tied to a request.
 *
 * The tie is a link of the token like any other; what it does is what any thread
 * may do to a request at any time. The untie waits for a cancel under way, so the
 * request's memory is its owner's again afterwards. */
#include <parkade/async/cancel.h>

#include <uv.h>

#define MS UINT64_C(1000000)

static void cancel_request(pkd_cancel_link_t* link) {
  pkd_req_cancel(((pkd_req_tie_t*)link)->req);
}

int pkd_req_cancel_on(pkd_req_tie_t* tie, pkd_req_t* req,
                      const pkd_cancel_t* cancel) {
  if (tie == NULL || req == NULL || cancel == NULL)
    return UV_EINVAL;
  tie->req = req;
  tie->link.fire = cancel_request;
  if (!pkd_cancel_is_fired(cancel) && pkd_cancel_link(cancel, &tie->link) == 0)
    return 0;
  pkd_req_cancel(req);
  return UV_ECANCELED;
}

void pkd_req_untie(pkd_req_tie_t* tie) {
  if (tie != NULL)
    pkd_cancel_unlink(&tie->link);
}

int pkd_req_set_timeout_of(pkd_req_t* req, const pkd_cancel_t* cancel) {
  pkd_deadline_t deadline = pkd_cancel_deadline(cancel);
  pkd_deadline_t now = pkd_now();

  if (req == NULL || cancel == NULL)
    return UV_EINVAL;
  if (deadline == PKD_FOREVER)
    return 0;
  return pkd_req_set_timeout(
      req, deadline <= now ? 0 : (deadline - now + MS - 1) / MS);
}
