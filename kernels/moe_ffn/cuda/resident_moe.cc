#include "kernels/moe_ffn/cuda/resident_moe.h"

#include "kernels/moe_ffn/cuda/resident_session.h"

namespace penstock::kernels {

ResidentMoe::ResidentMoe() = default;
ResidentMoe::~ResidentMoe() = default;

Status ResidentMoe::Upload(const MoeWeights& w) { return moe_.Upload(w); }

Status ResidentMoe::Run(const MoeFfnArgs& args) {
  const Status status = CheckMoeFfn(args);
  if (!status.ok() || args.rows * args.w.o == 0) return status;
  const ExpertLayout& layout = moe_.layout();
  if (args.w.count != layout.experts || args.w.d != layout.d || args.w.f != layout.f ||
      args.w.o != layout.o) {
    return {Code::kInvalidArgument, "resident moe: other weights than were uploaded"};
  }
  std::unique_ptr<ResidentSession> session = Take();
  const Status done = session->Run(moe_, args);
  if (done.ok()) Return(std::move(session));  // what failed is in no state to be used again
  return done;
}

std::unique_ptr<ResidentSession> ResidentMoe::Take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<ResidentSession> session = std::move(idle_.back());
      idle_.pop_back();
      return session;
    }
  }
  return std::make_unique<ResidentSession>();
}

void ResidentMoe::Return(std::unique_ptr<ResidentSession> session) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(session));
}

}  // namespace penstock::kernels
