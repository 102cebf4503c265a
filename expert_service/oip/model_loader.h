#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/net/oip/oip_control.h"
#include "common/notification.h"
#include "common/serial_worker.h"
#include "expert_service/execution/executor.h"
#include "expert_service/models/live_repository.h"

namespace penstock::expert {

// Loads and unloads single models on a thread of its own: files are read and models warmed up while
// others are served.
class ModelLoader {
 public:
  // Changes that wait for their turn.
  static constexpr size_t kMostWaiting = 16;

  // `announce` learns the names of models before they are served. All arguments outlive the loader.
  ModelLoader(LiveRepository& models, Executor& executor,
              std::function<void(const std::vector<std::string>& names)> announce);

  // As LiveRepository; RESOURCE_EXHAUSTED where enough is waiting.
  void Load(const std::string& model, ControlDone done);
  void Unload(const std::string& model, ControlDone done);

  // What makes models fit to be served: on the caller's thread. CANCELLED between two models once
  // `give_up`, where given, is notified.
  absl::Status Begin(const LiveRepository::Models& models, const Notification* give_up = nullptr);

 private:
  void Run(std::function<absl::Status()> change, ControlDone done);

  LiveRepository& models_;
  Executor& executor_;
  const std::function<void(const std::vector<std::string>& names)> announce_;
  Mutex adding_;  // one at a time
  SerialWorker worker_;
};

}  // namespace penstock::expert
