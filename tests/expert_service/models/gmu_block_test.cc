#include "gmock/gmock.h"
#include "tests/expert_service/models/loops.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

using kernels::WeightFormat;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Two units share the value of block 0, with blocks between that need values of their own.
constexpr char kBlocks[] =
    "blocks { linear {} } blocks { linear {} } blocks { gated_mlp { norm: true residual: true } } "
    "blocks { gmu { memory_block: 0 norm: true residual: true } } blocks { rms_norm {} } "
    "blocks { gmu { memory_block: 0 } }";

std::string Config(const std::string& in, const std::string& out, const std::string& blocks) {
  return "inputs { name: 'x' datatype: 'FP32' shape: " + in +
         " } outputs { name: 'y' datatype: 'FP32' shape: " + out + " } " + blocks;
}

Tensors SharedMemory() {
  Tensors t;
  t.Add("0.weight", {19, 7});
  t.Add("1.weight", {11, 19});
  t.Add("2.gate", {23, 11});
  t.Add("2.up", {23, 11});
  t.Add("2.down", {11, 23});
  t.Add("2.norm", {11}, 0.5f, 1.0f);
  t.Add("3.in", {19, 11});
  t.Add("3.out", {11, 19});
  t.Add("3.norm", {11}, 0.5f, 1.0f);
  t.Add("4.weight", {11}, 0.5f, 1.0f);
  t.Add("5.in", {19, 11});
  t.Add("5.out", {5, 19});
  return t;
}

Doubles Unit(const Doubles& memory, const Doubles& in, const Doubles& out, const Doubles& n) {
  Doubles h = Times(in, n);
  for (size_t i = 0; i < h.size(); ++i) h[i] = memory[i] * SiluOf(h[i]);
  return Times(out, h);
}

Doubles Loop(const Tensors& t, const Doubles& x) {
  const Doubles memory = Times(t["0.weight"], x);
  Doubles value = Times(t["1.weight"], memory);
  const Doubles n = RmsNormOf(value, t["2.norm"]);
  Doubles gate = Times(t["2.gate"], n);
  const Doubles up = Times(t["2.up"], n);
  for (size_t i = 0; i < gate.size(); ++i) gate[i] = SiluOf(gate[i]) * up[i];
  value = Plus(Times(t["2.down"], gate), value);
  value = Plus(Unit(memory, t["3.in"], t["3.out"], RmsNormOf(value, t["3.norm"])), value);
  return Unit(memory, t["5.in"], t["5.out"], RmsNormOf(value, t["4.weight"]));
}

Doubles LoopOver(const Tensors& t, const std::vector<float>& x) {
  Doubles wanted;
  for (size_t at = 0; at < x.size(); at += 7) {
    const Doubles y = Loop(t, Part(Doubles(x.begin(), x.end()), at, 7));
    wanted.insert(wanted.end(), y.begin(), y.end());
  }
  return wanted;
}

TEST(GmuBlockTest, ReadsTheValueOfAnEarlierBlock) {
  const Tensors t = SharedMemory();
  ASSERT_OK_AND_ASSIGN(const auto model, MakeModel(Config("7", "5", kBlocks), t.all()));
  const std::vector<float> x = Noise(23 * 7, 1, 1.5f);
  EXPECT_LE(RelativeError(RunOne(*model, FloatTensor("x", {23, 7}, x)), LoopOver(t, x)), 1e-5);
  ExpectAloneEqualsBatch(*model, {23, 7}, x);
}

TEST(GmuBlockTest, AppliesToEachPosition) {
  const Tensors t = SharedMemory();
  ASSERT_OK_AND_ASSIGN(const auto model, MakeModel(Config("[-1, 7]", "[-1, 5]", kBlocks), t.all()));
  const std::vector<float> x = Noise(6 * 3 * 7, 2, 1.5f);
  EXPECT_LE(RelativeError(RunOne(*model, FloatTensor("x", {6, 3, 7}, x)), LoopOver(t, x)), 1e-5);
}

TEST(GmuBlockTest, ComputesWithWhatQuantisedMatricesHold) {
  const Tensors t = SharedMemory();
  const std::vector<std::string> matrices = {"3.in", "3.out", "5.in", "5.out"};
  ASSERT_OK_AND_ASSIGN(const auto model,
                       MakeQuantized(Config("7", "5", kBlocks), t, matrices, WeightFormat::kInt4));
  const std::vector<float> x = Noise(4 * 7, 1, 1.5f);
  // Where the CPU multiplies codes in bfloat16 the inputs are rounded to it.
  EXPECT_LE(RelativeError(RunOne(*model, FloatTensor("x", {4, 7}, x)),
                          LoopOver(Rounded(t, matrices, WeightFormat::kInt4), x)),
            2e-2);
}

TEST(GmuBlockTest, SaysWhatIsWrongWithItsMemory) {
  const auto refuses = [](const std::string& in, const std::string& blocks, const auto& message) {
    Tensors t;
    t.Add("0.weight", {4, 4});
    t.Add("2.in", {4, 4});
    t.Add("2.out", {4, 4});
    EXPECT_THAT(MakeModel(Config(in, "4", blocks), t.all()).status().message(), message);
  };
  refuses("4", "blocks { linear {} } blocks { softmax {} } blocks { gmu { memory_block: 2 } }",
          HasSubstr("blocks[2] gmu: memory_block: wanted a block before this one, blocks[2], "
                    "found 2"));
  refuses("[3, 4]",
          "blocks { linear {} } blocks { mean_pool {} } blocks { gmu { memory_block: 0 } }",
          HasSubstr("memory_block: blocks[0] gives [rows, 3, 4], wanted the positions of the value "
                    "before, [rows, 4]"));
  refuses("4",
          "blocks { linear {} } blocks { shifted_views { height: 2 width: 2 shifts: [0, 0, 1, 0] } "
          "} blocks { gmu { memory_block: 0 } }",
          HasSubstr("wanted one from behind shifted_views"));
  refuses(
      "4",
      "blocks { linear {} } blocks { softmax {} } blocks { gmu { memory_block: 0 norm: true } }",
      HasSubstr("no tensor 2.norm"));
}

TEST(GmuBlockTest, NamesTheTensorThatDoesNotFit) {
  Tensors t;
  t.Add("0.weight", {6, 4});
  t.Add("1.weight", {4, 6});
  t.Add("2.in", {4, 4});
  t.Add("2.out", {4, 6});
  EXPECT_THAT(
      MakeModel(Config("4", "4",
                       "blocks { linear {} } blocks { linear {} } "
                       "blocks { gmu { memory_block: 0 } }"),
                t.all())
          .status()
          .message(),
      AllOf(HasSubstr("blocks[2] gmu"), HasSubstr("2.in"), HasSubstr("[6,4]"), HasSubstr("[4,4]")));
}

}  // namespace
}  // namespace penstock::expert
