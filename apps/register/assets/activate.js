// The token is in the form by now: it need not stay in the address bar and the history.
"use strict";

history.replaceState(null, "", location.pathname);
