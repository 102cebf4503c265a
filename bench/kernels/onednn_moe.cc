#include "bench/kernels/onednn_moe.h"

#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "dnnl.hpp"
#include "kernels/linear/weight_format.h"

namespace penstock::kernels {
namespace {

using dnnl::matmul;
using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;

struct Product {
  matmul primitive;
  std::vector<memory> weights;  // of each expert
};

}  // namespace

struct OneDnnMoe::Parts {
  int64_t experts = 0, d = 0, f = 0, rows = 0;
  Type type = Type::f32;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  // Weights as they were made, so that each row count can have the layout it prefers.
  std::vector<memory> plain_gate, plain_up, plain_down;
  Product gate, up, down;
  memory x, gated, h, y;  // gated: silu(x Wg)

  memory Random(int64_t in, int64_t out, uint32_t seed) {
    std::minstd_rand bits(seed);
    std::uniform_real_distribution<float> uniform(-1 / std::sqrt(static_cast<float>(in)),
                                                  1 / std::sqrt(static_cast<float>(in)));
    memory m({{in, out}, type, Tag::ab}, engine);
    for (int64_t i = 0; i < in * out; ++i) Put(m, i, uniform(bits));
    return m;
  }
  void Put(memory& m, int64_t i, float value) const {
    if (type == Type::f32) {
      static_cast<float*>(m.get_data_handle())[i] = value;
    } else {
      static_cast<uint16_t*>(m.get_data_handle())[i] = ToBf16(value);
    }
  }

  // `after`: what is done with each output before it is stored.
  Product Make(const std::vector<memory>& plain, const memory& from, const memory& to, int64_t in,
               int64_t out, const dnnl::post_ops& after) {
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(after);
    const matmul::desc desc(from.get_desc(), {{in, out}, type, Tag::any}, to.get_desc());
    const matmul::primitive_desc chosen(desc, attributes, engine);
    Product product = {matmul(chosen), {}};
    for (memory weights : plain) {
      memory packed(chosen.weights_desc(), engine);
      dnnl::reorder(weights, packed).execute(stream, weights, packed);
      product.weights.push_back(packed);
    }
    stream.wait();
    return product;
  }

};

OneDnnMoe::OneDnnMoe(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
OneDnnMoe::~OneDnnMoe() = default;

std::unique_ptr<OneDnnMoe> OneDnnMoe::Create(int64_t experts, int64_t d, int64_t f, bool bf16) {
  auto parts = std::make_unique<Parts>();
  parts->experts = experts;
  parts->d = d;
  parts->f = f;
  parts->type = bf16 ? Type::bf16 : Type::f32;
  try {
    for (int64_t e = 0; e < experts; ++e) {
      parts->plain_gate.push_back(parts->Random(d, f, static_cast<uint32_t>(3 * e + 1)));
      parts->plain_up.push_back(parts->Random(d, f, static_cast<uint32_t>(3 * e + 2)));
      parts->plain_down.push_back(parts->Random(f, d, static_cast<uint32_t>(3 * e + 3)));
    }
    std::unique_ptr<OneDnnMoe> moe(new OneDnnMoe(std::move(parts)));
    moe->SetRows(1);
    return moe;
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

void OneDnnMoe::SetRows(int64_t rows_per_expert) {
  Parts& p = *parts_;
  p.rows = rows_per_expert;
  p.x = memory({{p.rows, p.d}, p.type, Tag::ab}, p.engine);
  p.gated = memory({{p.rows, p.f}, Type::f32, Tag::ab}, p.engine);
  p.h = memory({{p.rows, p.f}, p.type, Tag::ab}, p.engine);
  p.y = memory({{p.rows, p.d}, Type::f32, Tag::ab}, p.engine);
  for (int64_t i = 0; i < p.rows * p.d; ++i) {
    p.Put(p.x, i, std::sin(static_cast<float>(i)));
  }
  dnnl::post_ops silu, times_gate;
  silu.append_eltwise(1.0f, dnnl::algorithm::eltwise_swish, 1.0f, 0.0f);
  times_gate.append_binary(dnnl::algorithm::binary_mul, p.gated.get_desc());
  p.gate = p.Make(p.plain_gate, p.x, p.gated, p.d, p.f, silu);
  p.up = p.Make(p.plain_up, p.x, p.h, p.d, p.f, times_gate);
  p.down = p.Make(p.plain_down, p.h, p.y, p.f, p.d, {});
}

void OneDnnMoe::Run() {
  Parts& p = *parts_;
  for (size_t e = 0; e < static_cast<size_t>(p.experts); ++e) {
    p.gate.primitive.execute(p.stream, {{DNNL_ARG_SRC, p.x},
                                        {DNNL_ARG_WEIGHTS, p.gate.weights[e]},
                                        {DNNL_ARG_DST, p.gated}});
    p.up.primitive.execute(p.stream,
                           {{DNNL_ARG_SRC, p.x},
                            {DNNL_ARG_WEIGHTS, p.up.weights[e]},
                            {DNNL_ARG_DST, p.h},
                            {DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, p.gated}});
    p.down.primitive.execute(p.stream, {{DNNL_ARG_SRC, p.h},
                                        {DNNL_ARG_WEIGHTS, p.down.weights[e]},
                                        {DNNL_ARG_DST, p.y}});
  }
  p.stream.wait();
}

}  // namespace penstock::kernels
