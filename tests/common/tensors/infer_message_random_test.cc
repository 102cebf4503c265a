#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "common/random.h"
#include "common/tensors/datatype.h"
#include "common/tensors/infer_message.h"
#include "gmock/gmock.h"
#include "google/protobuf/stubs/logging.h"
#include "inference/grpc_service.pb.h"
#include "tests/fuzz/infer_message_reference.h"
#include "tests/fuzz/random_pieces.h"

namespace penstock {
namespace {

// Writes messages as no serializer does and protobuf still reads: fields shuffled and repeated,
// lists packed or not, varints longer than need be, unknown fields and groups.
class WireGenerator {
 public:
  explicit WireGenerator(uint64_t seed) : random_(seed, 0) {}

  // inputs and raw contents of a request, or outputs and raw contents of a response.
  std::string Message(bool request) {
    std::vector<std::string> fields;
    const bool raw = random_.Below(2) == 0;
    const uint64_t tensors = random_.Below(4);
    std::vector<std::string> raws;
    for (uint64_t i = 0; i < tensors; ++i) {
      std::string raw_contents;
      fields.push_back(LengthField(5, TensorMessage(i, raw, raw_contents)));
      if (raw) raws.push_back(LengthField(request ? 7 : 6, raw_contents));
    }
    for (uint64_t i = random_.Below(6); i > 0; --i) fields.push_back(AnyField(request));
    Shuffle(fields);
    // Tensors and raw contents keep their own order, so that most messages decode.
    std::string message;
    for (const std::string& field : fields) message += field;
    for (const std::string& field : raws) message += field;
    return message;
  }

  CounterRandom& random() { return random_; }

 private:
  void Shuffle(std::vector<std::string>& fields) {
    for (size_t i = fields.size(); i > 1; --i) std::swap(fields[i - 1], fields[random_.Below(i)]);
  }

  std::string Varint(uint64_t value, size_t longest = 10) {
    std::string out;
    do {
      out.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    } while (value != 0);
    if (random_.Below(8) == 0) {
      while (out.size() < longest && random_.Below(2) == 0) out.push_back('\x80');
    }
    out.back() = static_cast<char>(out.back() & 0x7F);
    return out;
  }

  std::string Tag(uint32_t field, uint32_t wire_type) { return Varint(field << 3 | wire_type, 5); }
  std::string LengthField(uint32_t field, const std::string& value) {
    return Tag(field, 2) + Varint(value.size(), 5) + value;
  }

  std::string Text() {
    static const char* const kTexts[] = {"", "a", "digits", "x", "\xC3\xA9", "\xE2\x82\xAC"};
    if (random_.Below(60) == 0) return "\xC3";  // no UTF-8
    return kTexts[random_.Below(std::size(kTexts))];
  }

  std::string Unknown(int depth = 0) {
    const uint32_t field = 20 + random_.Below(1000);
    switch (random_.Below(depth < 3 ? 5 : 4)) {
      case 0:
        return Tag(field, 0) + Varint(random_.Bits());
      case 1:
        return Tag(field, 1) + std::string(8, '\x07');
      case 2:
        return LengthField(field, std::string(random_.Below(5), '\xFF'));
      case 3:
        return Tag(field, 5) + std::string(4, '\x07');
      default: {
        std::string group = Tag(field, 3);
        for (uint64_t i = random_.Below(3); i > 0; --i) group += Unknown(depth + 1);
        return group + Tag(field, 4);
      }
    }
  }

  // A field that the message knows, with a wire type that it does not.
  std::string WrongType() {
    const uint32_t field = 1 + random_.Below(8);
    return random_.Below(2) == 0 ? Tag(field, 5) + "abcd" : Tag(field, 1) + "abcdefgh";
  }

  std::string ParameterValue() {
    std::string value;
    for (uint64_t i = random_.Below(3); i > 0; --i) {
      switch (random_.Below(6)) {
        case 0:
          value += Tag(1, 0) + Varint(random_.Below(3));
          break;
        case 1:
          value += Tag(2, 0) + Varint(random_.Bits());
          break;
        case 2:
          value += LengthField(3, Text());
          break;
        case 3:
          value += Tag(4, 1) + Fixed(random_.Bits(), 8);
          break;
        case 4:
          value += Tag(5, 0) + Varint(random_.Bits());
          break;
        default:
          value += Unknown();
      }
    }
    return value;
  }

  std::string Fixed(uint64_t bits, size_t size) {
    return std::string(reinterpret_cast<const char*>(&bits), size);
  }

  std::string Parameter() {
    static const char* const kNames[] = {"a", "b", "penstock_class", "penstock_explain",
                                         "sequence_id"};
    std::vector<std::string> fields;
    for (uint64_t i = random_.Below(8) == 0 ? random_.Below(3) : 1; i > 0; --i) {
      fields.push_back(LengthField(1, kNames[random_.Below(std::size(kNames))]));
    }
    for (uint64_t i = random_.Below(8) == 0 ? random_.Below(3) : 1; i > 0; --i) {
      fields.push_back(LengthField(2, ParameterValue()));
    }
    if (random_.Below(8) == 0) fields.push_back(Unknown());
    if (random_.Below(4) == 0) Shuffle(fields);
    std::string entry;
    for (const std::string& field : fields) entry += field;
    return entry;
  }

  std::string Shape(const std::vector<int64_t>& shape) {
    std::string packed, out;
    for (const int64_t dimension : shape) {
      if (random_.Below(2) == 0) {
        packed += Varint(dimension);
        continue;
      }
      if (!packed.empty()) out += LengthField(3, std::exchange(packed, ""));
      out += Tag(3, 0) + Varint(dimension);
    }
    return out + LengthField(3, packed);
  }

  // One value of a field of InferTensorContents.
  std::string Value(uint32_t field) {
    switch (field) {
      case 1:
        return Varint(random_.Below(3));
      case 2:
        return Varint(static_cast<uint64_t>(static_cast<int64_t>(random_.Below(300)) - 130));
      case 4:
        return Varint(random_.Below(300));
      case 6:
        return Fixed(random_.Bits(), 4);
      case 7:
        return Fixed(random_.Bits(), 8);
      default:
        return Varint(random_.Bits());
    }
  }

  std::string Contents(uint32_t field, int64_t count) {
    std::string packed, out;
    for (int64_t i = 0; i < count; ++i) {
      if (field == 8) {
        out += LengthField(8, std::string(random_.Below(4), '\xFF'));
      } else if (random_.Below(4) != 0) {
        packed += Value(field);
      } else {
        if (!packed.empty()) out += LengthField(field, std::exchange(packed, ""));
        out += Tag(field, field == 6 ? 5 : field == 7 ? 1 : 0) + Value(field);
      }
    }
    if (!packed.empty()) out += LengthField(field, packed);
    if (random_.Below(10) == 0) out += Unknown();
    return out;
  }

  std::string TensorMessage(uint64_t index, bool raw, std::string& raw_contents) {
    static const struct {
      const char* name;
      uint32_t field;
    } kTypes[] = {{"BOOL", 1},  {"INT8", 2},   {"INT16", 2},  {"INT32", 2},  {"INT64", 3},
                  {"UINT8", 4}, {"UINT16", 4}, {"UINT32", 4}, {"UINT64", 5}, {"FP32", 6},
                  {"FP64", 7},  {"BYTES", 8},  {"FP16", 6},   {"BF16", 6},   {"FLOAT", 6}};
    const auto& type = kTypes[random_.Below(random_.Below(8) == 0 ? std::size(kTypes) : 12)];
    std::vector<int64_t> shape;
    int64_t count = 1;
    for (uint64_t i = random_.Below(3); i > 0; --i) {
      shape.push_back(static_cast<int64_t>(random_.Below(4)));
      count *= shape.back();
    }
    std::vector<std::string> fields;
    fields.push_back(LengthField(1, "tensor" + std::to_string(index)));
    fields.push_back(LengthField(2, type.name));
    fields.push_back(Shape(shape));
    if (random_.Below(20) == 0) count += 1;
    if (raw) {
      for (int64_t i = 0; i < count; ++i) {
        if (type.field == 8) {
          raw_contents += Fixed(2, 4) + "ab";
        } else {
          raw_contents +=
              std::string(ElementSize(ParseDataType(type.name).value_or(DataType::kFp32)), '\x05');
        }
      }
    } else {
      fields.push_back(LengthField(5, Contents(type.field, count)));
      if (random_.Below(10) == 0) fields.push_back(LengthField(5, Contents(type.field, 1)));
    }
    if (random_.Below(4) == 0) fields.push_back(LengthField(4, Parameter()));
    if (random_.Below(10) == 0) fields.push_back(Unknown());
    Shuffle(fields);
    std::string tensor;
    for (const std::string& field : fields) tensor += field;
    return tensor;
  }

  std::string AnyField(bool request) {
    switch (random_.Below(8)) {
      case 0:
        return LengthField(1, Text());
      case 1:
        return LengthField(2, Text());
      case 2:
        return LengthField(3, Text());
      case 3:
      case 4:
        return LengthField(4, Parameter());
      case 5:
        // A request's outputs; of a response that is raw contents, which then are too many.
        return request ? LengthField(6, LengthField(1, Text()) + LengthField(2, Parameter()))
                       : Unknown();
      case 6:
        return WrongType();
      default:
        return Unknown();
    }
  }

  CounterRandom random_;
};

// What a network or an attacker makes of it.
std::string Damage(std::string message, CounterRandom& random) {
  if (message.empty()) return message;
  switch (random.Below(5)) {
    case 0:
      message.resize(random.Below(message.size()));
      break;
    case 1:
      message[random.Below(message.size())] ^= static_cast<char>(1 << random.Below(8));
      break;
    case 2:
      message.insert(random.Below(message.size()), 1, static_cast<char>(random.Bits()));
      break;
    case 3:
      message.erase(random.Below(message.size()), 1 + random.Below(4));
      break;
    default:
      message[random.Below(message.size())] = static_cast<char>(random.Bits());
  }
  return message;
}

class RandomMessageTest : public testing::TestWithParam<bool> {
 protected:
  std::string Difference(const Bytes& message) const {
    return GetParam() ? DifferenceInRequest(message) : DifferenceInResponse(message);
  }
  bool Decodes(const Bytes& message) const {
    if (GetParam()) {
      const auto header = ScanInferRequest(message);
      return header.ok() && DecodeInputs(message, *header).ok();
    }
    const auto header = ScanInferResponse(message);
    return header.ok() && DecodeOutputs(message, *header).ok();
  }

  google::protobuf::LogSilencer silencer_;  // protobuf logs every broken string
};

TEST_P(RandomMessageTest, ScannerAndProtobufReadTheSame) {
  int decoded = 0;
  for (uint64_t seed = 0; seed < 4000; ++seed) {
    WireGenerator generator(seed);
    const std::string wire = generator.Message(GetParam());
    const Bytes message = RandomPieces(wire, 1 + seed % 40, generator.random());
    ASSERT_EQ(Difference(message), "") << "seed " << seed;
    decoded += Decodes(message) ? 1 : 0;
  }
  // Or else the comparison would be one of refusals.
  EXPECT_GT(decoded, 2000);
}

TEST_P(RandomMessageTest, ScannerAndProtobufRefuseTheSameDamage) {
  int refused = 0;
  for (uint64_t seed = 0; seed < 16'000; ++seed) {
    WireGenerator generator(seed / 4);
    CounterRandom random(seed, 1);
    const std::string wire = Damage(generator.Message(GetParam()), random);
    const Bytes message = RandomPieces(wire, 1 + seed % 40, random);
    ASSERT_EQ(Difference(message), "") << "seed " << seed;
    refused +=
        (GetParam() ? ScanInferRequest(message).ok() : ScanInferResponse(message).ok()) ? 0 : 1;
  }
  EXPECT_GT(refused, 4000);
  EXPECT_LT(refused, 14'000);
}

TEST_P(RandomMessageTest, EveryTruncationIsReadTheSame) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    WireGenerator generator(seed);
    const std::string wire = generator.Message(GetParam());
    for (size_t size = 0; size < wire.size(); ++size) {
      ASSERT_EQ(Difference(Bytes(wire.substr(0, size))), "") << "seed " << seed << " size " << size;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, RandomMessageTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& info) {
                           return info.param ? "Request" : "Response";
                         });

}  // namespace
}  // namespace penstock
