#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace penstock::router {

// Names replicas so that two routers mean the same one: its address, as they connect to it, and
// its model there. An address of the loopback device is another server's in every network
// namespace, one of a socket's file in every tree of mounts, so those names hold where they are
// from.
class ReplicaKeys {
 public:
  // `network`, `files`: where addresses of either kind mean the same; empty: not known, and such
  // replicas have no name.
  ReplicaKeys(std::string network, std::string files)
      : network_(std::move(network)), files_(std::move(files)) {}
  static ReplicaKeys OfThisProcess();

  // Nothing for what no other process can mean.
  std::optional<std::string> Of(absl::string_view address, absl::string_view model) const;

 private:
  const std::string network_;
  const std::string files_;
};

}  // namespace penstock::router
