// Registers, constants and immediate numbers as operands.

#include "operands.h"

#include <cstring>

namespace sim {

Lanes Operands::Raw(const Operand& o, bool high) const {
  Lanes value;
  switch (o.kind) {
    case Kind::kRegister:
      if (o.reg == kZeroRegister) {
        value.fill(0);
      } else {
        std::memcpy(value.data(), w_.registers[o.reg + high], sizeof value);
      }
      break;
    case Kind::kUniform:
      value.fill(o.reg == kZeroUniform ? 0 : w_.uniforms[o.reg + high]);
      break;
    case Kind::kImmediate:
      value.fill(static_cast<u32>(high ? o.immediate >> 32 : o.immediate));
      break;
    case Kind::kConstant:
      if (o.reg == kZeroRegister) {
        value.fill(Constant(o.bank, o.offset + 4 * high));
      } else {
        for (int l = 0; l < kLanes; ++l)
          value[l] =
              Has(lanes_, l)
                  ? Constant(o.bank, static_cast<i32>(w_.registers[o.reg][l]) +
                                         o.offset + 4 * high)
                  : 0;
      }
      break;
    default:
      Die("not done: a source of %s", in_.text.c_str());
  }
  return value;
}

u32 Operands::Constant(int bank, i64 offset) const {
  const string* bytes = &at_.launch.constants;
  if (bank != 0) {
    const auto found = at_.kernel.banks.find(bank);
    if (found == at_.kernel.banks.end())
      Die("no constants in bank %d: %s", bank, in_.text.c_str());
    bytes = &found->second;
  }
  if (offset < 0 || static_cast<u64>(offset) + 4 > bytes->size())
    Die("no constant at %lld: %s", static_cast<long long>(offset),
        in_.text.c_str());
  u32 value;
  std::memcpy(&value, bytes->data() + offset, sizeof value);
  return value;
}

Lanes Operands::Int(size_t i) const {
  const Operand& o = in_.o[i];
  Lanes value = Raw(o);
  if (o.negate) {
    for (u32& v : value) v = 0u - v;
  } else if (o.invert) {
    for (u32& v : value) v = ~v;
  } else if (o.absolute) {
    for (u32& v : value) v = static_cast<i32>(v) < 0 ? 0u - v : v;
  }
  return value;
}

FloatLanes Operands::Float(size_t i) const {
  const Operand& o = in_.o[i];
  const Lanes raw = Raw(o);
  const u32 keep = o.absolute ? 0x7fffffffu : ~0u,
            flip = o.negate ? 0x80000000u : 0;
  FloatLanes value;
  for (int l = 0; l < kLanes; ++l)
    value[l] = Bits<float>((raw[l] & keep) ^ flip);
  return value;
}

DoubleLanes Operands::Double(size_t i) const {
  const Operand& o = in_.o[i];
  const Lanes low = Raw(o), high = Raw(o, true);
  const u32 keep = o.absolute ? 0x7fffffffu : ~0u,
            flip = o.negate ? 0x80000000u : 0;
  DoubleLanes value;
  for (int l = 0; l < kLanes; ++l)
    value[l] = Bits<double>(Pair(low[l], (high[l] & keep) ^ flip));
  return value;
}

void Operands::Set(const Operand& o, const Lanes& value, bool high) {
  if (o.kind == Kind::kUniform) {
    if (o.reg != kZeroUniform) w_.uniforms[o.reg + high] = value[0];
    return;
  }
  if (o.reg == kZeroRegister) return;
  u32* const to = w_.registers[o.reg + high];
  if (lanes_ == ~0u) {
    std::memcpy(to, value.data(), sizeof value);
    return;
  }
  for (int l = 0; l < kLanes; ++l) {
    if (Has(lanes_, l)) to[l] = value[l];
  }
}

void Operands::SetPredicate(size_t i, u32 value) {
  const Operand& o = in_.o[i];
  if (o.reg == kTrue) return;
  if (o.kind == Kind::kUniformPredicate) {
    w_.uniform_predicates[o.reg] = (value & 1) != 0;
  } else {
    w_.predicates[o.reg] = (w_.predicates[o.reg] & ~lanes_) | (value & lanes_);
  }
}

}  // namespace sim
