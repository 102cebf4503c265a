#include "kernels/moe_ffn/cuda/resident_session.h"

namespace penstock::kernels {

// Nothing was ever made here that would have to be let go of.
void ResidentSession::DestroyGraph::operator()(void* /*graph*/) const {}
void ResidentSession::FreeHost::operator()(char* /*memory*/) const {}
ResidentSession::~ResidentSession() = default;

Status ResidentSession::Run(const DeviceMoe&, const MoeFfnArgs&) {
  return {Code::kUnsupported, "resident moe: built without CUDA"};
}

}  // namespace penstock::kernels
