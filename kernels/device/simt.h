#pragma once

// What a thread of a CUDA block can do beyond C++. nvcc makes these instructions of sm_80 and
// later. For other compilers they are declared only: tests/kernels/simt_emulator.cc defines them,
// and so runs the bodies of kernels on the CPU.

#include <cstdint>

#if defined(__CUDACC__)
#define PENSTOCK_SIMT __device__ inline
#define PENSTOCK_HOST_AND_SIMT __host__ __device__
// The loop that follows, whole: arrays that it indexes stay in registers.
#define PENSTOCK_SIMT_UNROLL _Pragma("unroll")
#else
#define PENSTOCK_SIMT inline
#define PENSTOCK_HOST_AND_SIMT
#define PENSTOCK_SIMT_UNROLL
#endif

namespace penstock::kernels {

inline constexpr int kWarpLanes = 32;

// What one load or copy moves.
struct alignas(16) Words4 {
  uint32_t w[4];
};

// bfloat16 is the upper half of a float32; two stand in a word, the first in its low half.
PENSTOCK_SIMT float FloatFromBits(uint32_t bits) {
#if defined(__CUDACC__)
  return __uint_as_float(bits);
#else
  return __builtin_bit_cast(float, bits);
#endif
}
PENSTOCK_SIMT float LowBf16(uint32_t word) { return FloatFromBits(word << 16); }
PENSTOCK_SIMT float HighBf16(uint32_t word) { return FloatFromBits(word & 0xFFFF0000u); }

#if defined(__CUDACC__)

struct Simt {
  __device__ static int Thread() { return static_cast<int>(threadIdx.x); }
  __device__ static int Threads() { return static_cast<int>(blockDim.x); }
  __device__ static int64_t Block() { return blockIdx.x; }
  __device__ static int64_t Blocks() { return gridDim.x; }
  __device__ static void Sync() { __syncthreads(); }

  // The block's dynamic shared memory.
  __device__ static char* Shared() {
    extern __shared__ __align__(128) char penstock_shared[];
    return penstock_shared;
  }

  // 16 bytes to byte `at` of Shared(), of which the first `bytes` come from global memory and the
  // rest are 0. They are there for the calling thread after CopyWait, for the block after a Sync
  // behind it.
  __device__ static void CopyAsync16(int at, const void* global, int bytes) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(SharedAddress(at)),
                 "l"(__cvta_generic_to_global(global)), "r"(bytes)
                 : "memory");
  }
  // Closes a group of copies, which may be empty.
  __device__ static void CopyCommit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
  // Until at most kOpen of the calling thread's latest groups are under way.
  template <int kOpen>
  __device__ static void CopyWait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(kOpen) : "memory");
  }

  // Of the warp: 8x8 matrices of 16-bit elements. Lane 8 i + r gives the byte of Shared() at which
  // row r of matrix i; lane l gets elements 2 (l % 4) and 2 (l % 4) + 1 of row l / 4 of matrix i in
  // r[i].
  __device__ static void LoadMatrix4(uint32_t (&r)[4], int at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(SharedAddress(at))
                 : "memory");
  }
  // The same with two; the rows of lanes 16 and above are not read.
  __device__ static void LoadMatrix2(uint32_t (&r)[2], int at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(SharedAddress(at))
                 : "memory");
  }

  // Of the warp: c [16, 8] += a [16, 16] b [16, 8], bfloat16 in, float32 out.
  __device__ static void Multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }

  __device__ static float ShuffleXor(float value, int mask) {
    return __shfl_xor_sync(0xFFFFFFFFu, value, mask);
  }

  // Constant for the kernel's length and read once: passes by the L1 cache.
  __device__ static Words4 LoadOnce(const void* global) {
    Words4 v;
    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(v.w[0]), "=r"(v.w[1]), "=r"(v.w[2]), "=r"(v.w[3])
        : "l"(__cvta_generic_to_global(global)));
    return v;
  }

  // Rounded to nearest even; NaN stays NaN.
  __device__ static uint32_t PackBf16(float low, float high) {
    uint32_t word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
    return word;
  }

  // Never fused with one another.
  __device__ static float Product(float a, float b) { return __fmul_rn(a, b); }
  __device__ static float Sum(float a, float b) { return __fadd_rn(a, b); }

 private:
  // In 32 bits: addresses of 64 would cost the accumulators their registers.
  __device__ static uint32_t SharedAddress(int at) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(Shared())) + static_cast<uint32_t>(at);
  }
};

#else

struct Simt {
  static int Thread();
  static int Threads();
  static int64_t Block();
  static int64_t Blocks();
  static void Sync();
  static char* Shared();
  static void CopyAsync16(int at, const void* global, int bytes);
  static void CopyCommit();
  static void CopyWaitUntil(int open);
  template <int kOpen>
  static void CopyWait() {
    CopyWaitUntil(kOpen);
  }
  static void LoadMatrix4(uint32_t (&r)[4], int at);
  static void LoadMatrix2(uint32_t (&r)[2], int at);
  static void Multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
  static float ShuffleXor(float value, int mask);
  static Words4 LoadOnce(const void* global);
  static uint32_t PackBf16(float low, float high);
  static float Product(float a, float b);
  static float Sum(float a, float b);
};

#endif

}  // namespace penstock::kernels
