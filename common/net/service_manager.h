#pragma once

namespace penstock {

// Tells whoever started this process how it is: messages over the unix datagram socket that
// NOTIFY_SOCKET names, as systemd documents them in sd_notify(3). Without the variable, or where
// nobody listens, nothing is said and nothing fails. From any thread.
class ServiceManager {
 public:
  // Calls are accepted; or a reload has ended.
  static void Ready();
  static void Reloading();
  // The drain begins.
  static void Stopping();
};

}  // namespace penstock
