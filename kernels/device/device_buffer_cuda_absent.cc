#include "kernels/device/device_buffer.h"

namespace penstock::kernels {
namespace {

constexpr Status kAbsent = {Code::kUnsupported, "device buffer: built without CUDA"};

}  // namespace

DeviceBuffer::~DeviceBuffer() = default;
Status DeviceBuffer::Allocate(size_t) { return kAbsent; }
Status DeviceBuffer::Write(size_t, const void*, size_t) { return kAbsent; }
Status DeviceBuffer::Read(size_t, void*, size_t) const { return kAbsent; }

}  // namespace penstock::kernels
