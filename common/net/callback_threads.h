#pragma once

namespace penstock {

// Keeps gRPC's callback threads until the process ends. gRPC stops them with the last channel or server
// that uses them; when that is let go of on one of the threads, as the end of a call may do, the thread
// goes on in a queue that it has just deleted. Every user of the callback API here calls this first.
void KeepCallbackThreads();

}  // namespace penstock
