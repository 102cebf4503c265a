#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "common/net/oip/oip_server.h"

namespace penstock {

// An expert of somebody else's make: an OIP server on a free port, in this process, that serves
// every model name with input x FP32 [-1, 4] and output y FP32 [-1, 2], and does with its calls
// what the test says. It reports no load and no joules.
class FakeExpert {
 public:
  using Behaviour = std::function<void(std::shared_ptr<IncomingCall>)>;

  FakeExpert();
  ~FakeExpert();

  const std::string& address() const { return server_->address(); }
  // What happens with calls from now on. At first: zeros of the right shape.
  void Do(Behaviour behaviour);
  // From now on calls are kept.
  void Hold();
  // Answers all that are kept, and keeps no more.
  void Release() { ReleaseWith(&FakeExpert::AnswerWell); }
  void ReleaseWith(const Behaviour& behaviour);
  void SetServing(bool serving) { server_->SetServing(serving); }

  // Calls kept and not released, whose client is gone or not.
  size_t held() const;
  // Kept calls whose client went away.
  size_t cancelled() const;
  // Calls that came in, ever.
  size_t calls() const;

  static void AnswerWell(const std::shared_ptr<IncomingCall>& call);
  static Behaviour AnswerWith(InferReply reply);

 private:
  class Handler;
  class Control;

  std::unique_ptr<Handler> handler_;
  std::unique_ptr<Control> control_;
  std::unique_ptr<OipServer> server_;
};

}  // namespace penstock
