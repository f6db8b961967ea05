// What the words, operands and control codes of nvdisasm's listing mean.
// An instruction or a modifier that is not known here ends the process.

#include "listing.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <map>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace sim {

namespace {

// The instructions that are known, under all their names, and what their
// modifiers may be.
struct Mnemonic {
  Op op;
  Pipe pipe;  // but for uniform ones
  const char* names;
  const char* modifiers;
};

#define COMPARISONS "LT EQ LE GT NE GE AND OR XOR "
#define UNORDERED "LTU EQU LEU GTU NEU GEU NAN NUM "
// Where, how long and in what order memory is kept makes no difference here.
#define ACCESS                                                              \
  "E 64 128 U8 S8 U16 S16 CONSTANT STRONG WEAK SYS GPU CTA LU EF EL EU NA " \
  "LTC64B LTC128B LTC256B "

constexpr Mnemonic kMnemonics[] = {
    // Integers.
    {Op::kIadd3, Pipe::kAlu, "IADD3 UIADD3 VIADD", "X"},
    {Op::kImad, Pipe::kImad, "IMAD UIMAD", "MOV IADD SHL U32 WIDE HI X"},
    {Op::kLea, Pipe::kAlu, "LEA ULEA", "HI X SX32"},
    {Op::kShf, Pipe::kAlu, "SHF USHF", "L R U32 S32 U64 S64 HI W"},
    {Op::kLop3, Pipe::kAlu, "LOP3 ULOP3", "LUT"},
    {Op::kPlop3, Pipe::kAlu, "PLOP3 UPLOP3", "LUT"},
    {Op::kPrmt, Pipe::kAlu, "PRMT UPRMT", ""},
    {Op::kIabs, Pipe::kAlu, "IABS", ""},
    {Op::kImnmx, Pipe::kAlu, "IMNMX VIMNMX", "U32"},
    {Op::kViaddmnmx, Pipe::kAlu, "VIADDMNMX", "U32"},
    {Op::kSel, Pipe::kAlu, "SEL USEL", ""},
    {Op::kIsetp, Pipe::kAlu, "ISETP UISETP", COMPARISONS "U32 EX"},
    {Op::kBrev, Pipe::kXu, "BREV UBREV", ""},
    {Op::kFlo, Pipe::kXu, "FLO UFLO", "U32 SH"},
    {Op::kPopc, Pipe::kXu, "POPC UPOPC", ""},
    // From register to register.
    {Op::kMov, Pipe::kAlu, "MOV UMOV", ""},
    {Op::kR2ur, Pipe::kAlu, "R2UR", ""},
    {Op::kP2r, Pipe::kAlu, "P2R", ""},
    {Op::kR2p, Pipe::kAlu, "R2P", ""},
    {Op::kBmov, Pipe::kAlu, "BMOV", "32 CLEAR"},
    {Op::kS2r, Pipe::kControl, "S2R S2UR", ""},
    {Op::kCs2r, Pipe::kAlu, "CS2R", "32"},
    {Op::kB2r, Pipe::kControl, "B2R", "RESULT"},
    // Numbers.
    {Op::kFadd, Pipe::kFma, "FADD", ""},
    {Op::kFmul, Pipe::kFma, "FMUL", ""},
    {Op::kFfma, Pipe::kFma, "FFMA", ""},
    {Op::kHfma2, Pipe::kFma, "HFMA2", "MMA"},
    {Op::kFmnmx, Pipe::kAlu, "FMNMX", ""},
    {Op::kFsel, Pipe::kAlu, "FSEL", ""},
    {Op::kFsetp, Pipe::kAlu, "FSETP", COMPARISONS UNORDERED},
    {Op::kDadd, Pipe::kFp64, "DADD", ""},
    {Op::kDmul, Pipe::kFp64, "DMUL", "RP"},
    {Op::kDfma, Pipe::kFp64, "DFMA", ""},
    {Op::kDsetp, Pipe::kFp64, "DSETP", COMPARISONS UNORDERED "MIN MAX"},
    {Op::kF2f, Pipe::kXu, "F2F", "F32 F64"},
    {Op::kF2i, Pipe::kXu, "F2I", "FTZ U32 U64 TRUNC NTZ"},
    {Op::kI2f, Pipe::kXu, "I2F I2FP", "F32 F64 S32 U32 S64 U64 RP"},
    {Op::kMufu, Pipe::kXu, "MUFU", "RCP RCP64H"},
    // Among lanes.
    {Op::kVote, Pipe::kAlu, "VOTE VOTEU", "ANY ALL"},
    {Op::kShfl, Pipe::kLsu, "SHFL", "BFLY IDX UP DOWN"},
    {Op::kRedux, Pipe::kLsu, "REDUX", "MIN MAX SUM AND OR XOR S32"},
    // Memory.
    {Op::kLoad, Pipe::kLsu, "LD LDG LDS", ACCESS},
    {Op::kStore, Pipe::kLsu, "ST STG STS", ACCESS},
    {Op::kLdl, Pipe::kLsu, "LDL", ACCESS},
    {Op::kStl, Pipe::kLsu, "STL", ACCESS},
    {Op::kLdc, Pipe::kLsu, "LDC ULDC", "64"},
    {Op::kAtom, Pipe::kLsu, "ATOM ATOMG ATOMS RED REDG",
     "E STRONG SYS GPU CTA MIN MAX ADD AND OR XOR EXCH CAS CAST SPIN S32 64"},
    {Op::kLdgsts, Pipe::kLsu, "LDGSTS", ACCESS "BYPASS"},
    {Op::kLdgdepbar, Pipe::kLsu, "LDGDEPBAR", ""},
    {Op::kDepbar, Pipe::kControl, "DEPBAR", "LE"},
    {Op::kNop, Pipe::kLsu, "MEMBAR CCTL ERRBAR", "SC ALL CTA GPU SYS IVALL"},
    // Control.
    {Op::kBra, Pipe::kControl, "BRA", "CONV DIV"},
    {Op::kCall, Pipe::kControl, "CALL", "REL NOINC"},
    {Op::kRet, Pipe::kControl, "RET", "REL NODEC"},
    {Op::kExit, Pipe::kControl, "EXIT", ""},
    {Op::kBssy, Pipe::kControl, "BSSY", ""},
    {Op::kBsync, Pipe::kControl, "BSYNC", ""},
    {Op::kBreak, Pipe::kControl, "BREAK", ""},
    {Op::kWarpsync, Pipe::kControl, "WARPSYNC", "ALL EXCLUSIVE COLLECTIVE"},
    {Op::kBar, Pipe::kControl, "BAR", "SYNC RED AND OR POPC DEFER_BLOCKING"},
    {Op::kNop, Pipe::kControl, "NOP YIELD ENDCOLLECTIVE", ""},
};

// A result that a scoreboard stands for: when it is there after issue, and
// under which name waiting for it is reported. Accesses to memory say so
// themselves.
std::pair<int Gpu::*, Reason> LatencyOf(Op op, Pipe pipe) {
  switch (op) {
    case Op::kBrev:
    case Op::kFlo:
    case Op::kPopc:
    case Op::kF2f:
    case Op::kF2i:
    case Op::kI2f:
    case Op::kMufu:
      return {&Gpu::xu, kXu};
    case Op::kShfl:
      return {&Gpu::shfl, kShuffle};
    case Op::kRedux:
      return {&Gpu::redux, kRedux};
    case Op::kB2r:
      return {&Gpu::b2r, kBarrier};
    case Op::kS2r:
    case Op::kCs2r:
      return {&Gpu::s2r, kOther};
    case Op::kLdc:
      return {&Gpu::ldc, kOther};
    case Op::kR2ur:
      return {&Gpu::r2ur, kOther};
    case Op::kLoad:
    case Op::kStore:
    case Op::kLdl:
    case Op::kStl:
    case Op::kAtom:
      return {&Gpu::l1, kL1};
    default:
      return {pipe == Pipe::kFp64 ? &Gpu::fp64 : &Gpu::misc, kOther};
  }
}

bool HasWord(const string& words, const string& word) {
  return (" " + words + " ").find(" " + word + " ") != string::npos;
}

string Trim(const string& s) {
  const size_t begin = s.find_first_not_of(" \t\r\n");
  return begin == string::npos
             ? ""
             : s.substr(begin, s.find_last_not_of(" \t\r\n") - begin + 1);
}

bool StartsWith(const string& s, const char* with) {
  return s.rfind(with, 0) == 0;
}

}  // namespace

std::vector<string> Split(const string& s, char c) {
  std::vector<string> parts(1);
  int depth = 0;
  for (char ch : s) {
    depth += (ch == '[' || ch == '(') - (ch == ']' || ch == ')');
    if (ch == c && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += ch;
    }
  }
  return parts;
}

namespace {

Instruction ParseMnemonic(const string& text) {
  const std::vector<string> parts = Split(text, '.');
  const string& name = parts[0];
  const auto* const known =
      std::find_if(std::begin(kMnemonics), std::end(kMnemonics),
                   [&](const Mnemonic& m) { return HasWord(m.names, name); });
  if (known == std::end(kMnemonics))
    Die("not done: instruction %s", text.c_str());
  for (size_t i = 1; i < parts.size(); ++i) {
    if (!HasWord(known->modifiers, parts[i]))
      Die("not done: .%s of %s", parts[i].c_str(), text.c_str());
  }
  Instruction in;
  in.op = known->op;
  in.pipe = name[0] == 'U' || name == "S2UR" || name == "VOTEU" ? Pipe::kUniform
                                                                : known->pipe;
  std::tie(in.latency, in.reason) = LatencyOf(in.op, in.pipe);
  const auto has = [&](const char* modifier) {
    return std::find(parts.begin() + 1, parts.end(), modifier) != parts.end();
  };
  const auto first = [&](auto& field, const auto& names) {
    for (const auto& [name, value] : names) {
      if (!has(name)) continue;
      field = value;
      return true;
    }
    return false;
  };

  if (name == "LDS" || name == "STS" || name == "ATOMS")
    in.space = Space::kShared;
  if (in.op == Op::kIsetp || in.op == Op::kFsetp || in.op == Op::kDsetp) {
    static const std::map<string, Compare> comparisons = {
        {"LT", Compare::kLt},   {"EQ", Compare::kEq},   {"LE", Compare::kLe},
        {"GT", Compare::kGt},   {"NE", Compare::kNe},   {"GE", Compare::kGe},
        {"LTU", Compare::kLtu}, {"EQU", Compare::kEqu}, {"LEU", Compare::kLeu},
        {"GTU", Compare::kGtu}, {"NEU", Compare::kNeu}, {"GEU", Compare::kGeu},
        {"NAN", Compare::kNan}, {"NUM", Compare::kNum}, {"MIN", Compare::kMin},
        {"MAX", Compare::kMax}};
    const auto comparison = comparisons.find(parts[1]);
    if (comparison == comparisons.end())
      Die("not done: comparison of %s", text.c_str());
    in.compare = comparison->second;
    in.combine = has("OR")    ? Combine::kOr
                 : has("XOR") ? Combine::kXor
                              : Combine::kAnd;
  }
  static const std::pair<const char*, Reduction> reductions[] = {
      {"ADD", Reduction::kAdd},
      {"SUM", Reduction::kAdd},
      {"MIN", Reduction::kMin},
      {"MAX", Reduction::kMax},
      {"AND", Reduction::kAnd},
      {"OR", Reduction::kOr},
      {"XOR", Reduction::kXor},
      {"EXCH", Reduction::kExchange},
      {"CAS", Reduction::kCompareAndSwap},
      {"CAST", Reduction::kCompareAndSwap},
      {"POPC", Reduction::kCount}};
  if (in.op == Op::kRedux)
    in.reduction = Reduction::kAnd;  // which has no modifier
  if (in.op == Op::kAtom || in.op == Op::kRedux || in.op == Op::kBar)
    first(in.reduction, reductions);
  in.says_whether = has("CAST");
  if (in.op == Op::kBar) in.votes = has("RED");
  if ((in.op == Op::kAtom || in.op == Op::kRedux || in.votes) &&
      in.reduction == Reduction::kNone)
    Die("not done: %s", text.c_str());
  static const std::pair<const char*, Shuffle> shuffles[] = {
      {"BFLY", Shuffle::kButterfly},
      {"IDX", Shuffle::kIndex},
      {"UP", Shuffle::kUp},
      {"DOWN", Shuffle::kDown}};
  if (in.op == Op::kShfl) first(in.shuffle, shuffles);

  static const std::pair<const char*, int> widths[] = {
      {"U8", 1}, {"S8", 1}, {"U16", 2}, {"S16", 2}, {"64", 8}, {"128", 16}};
  first(in.width, widths);
  in.sign_extend = has("S8") || has("S16");
  in.is_signed = !has("U32");
  // These two are unsigned unless they say otherwise.
  if (in.op == Op::kAtom || in.op == Op::kRedux) in.is_signed = has("S32");
  in.x = has("X");
  in.ex = has("EX");
  in.wide = has("WIDE");
  in.high = has("HI");
  in.sx32 = has("SX32");
  in.left = has("L");
  in.is_s64 = has("S64");
  in.is_u64 = has("U64");
  in.shift = has("SH");
  in.all = has("ALL");
  in.collective = has("COLLECTIVE");
  in.conv = has("CONV");
  in.div = has("DIV");
  in.up = has("RP");
  in.rcp64h = has("RCP64H");
  in.wraps = has("W");
  in.clear = has("CLEAR");
  switch (in.op) {
    case Op::kF2f:
      in.to = parts[1] == "F64" ? 8 : 4;
      in.from = parts[2] == "F64" ? 8 : 4;
      break;
    case Op::kI2f:
      in.to = has("F64") ? 8 : 4;
      in.from = has("U64") ? 4 : has("S64") ? 3 : has("U32") ? 2 : 1;
      break;
    case Op::kF2i:
      if (!has("TRUNC")) Die("not done: %s", text.c_str());
      break;
    case Op::kFlo:
      if (in.is_signed) Die("not done: %s", text.c_str());
      break;
    case Op::kVote:
      if (!has("ANY") && !in.all) Die("not done: %s", text.c_str());
      break;
    default:
      break;
  }
  return in;
}

// What an operand's immediate number is.
enum class Literal { kInteger, kFloat, kDouble };

Literal LiteralOf(Op op) {
  switch (op) {
    case Op::kFadd:
    case Op::kFmul:
    case Op::kFfma:
    case Op::kFsetp:
    case Op::kFsel:
    case Op::kFmnmx:
    case Op::kHfma2:
      return Literal::kFloat;
    case Op::kDadd:
    case Op::kDmul:
    case Op::kDfma:
    case Op::kDsetp:
      return Literal::kDouble;
    default:
      return Literal::kInteger;
  }
}

using Labels = std::unordered_map<string, int>;

// "R7", "RZ", "UR4", "P0", "UPT", ...: the number, where the text is a register
// of that kind; or -1.
int RegisterNumber(const string& text, const char* prefix, char last_letter,
                   int last) {
  const size_t length = std::strlen(prefix);
  if (!StartsWith(text, prefix) || text.size() == length) return -1;
  if (text[length] == last_letter && text.size() == length + 1) return last;
  return std::isdigit(static_cast<u8>(text[length]))
             ? std::atoi(text.c_str() + length)
             : -1;
}

// The sum within an address's or a constant's brackets.
void ParseSum(const string& sum, const string& text, Operand* o) {
  for (const string& term : Split(sum, '+')) {
    const std::vector<string> parts = Split(Trim(term), '.');
    int number = RegisterNumber(parts[0], "UR", 'Z', kZeroUniform);
    if (number >= 0) {
      o->uniform = number;
      continue;
    }
    number = RegisterNumber(parts[0], "R", 'Z', kZeroRegister);
    if (number >= 0) {
      o->reg = number;
      for (size_t i = 1; i < parts.size(); ++i) {
        if (parts[i] == "64") {
          o->is_wide = true;
        } else if (parts[i][0] == 'X') {
          o->scale = std::atoi(parts[i].c_str() + 1);
        } else if (parts[i] != "U32" && parts[i] != "reuse") {
          Die("not done: address %s", text.c_str());
        }
      }
      continue;
    }
    char* end;
    o->offset += std::strtoll(term.c_str(), &end, 0);
    if (!Trim(end).empty()) Die("not done: address %s", text.c_str());
  }
}

// `encoding`: the instruction's lower half, which has immediate numbers; the
// text says +QNAN of many.
Operand ParseOperand(const string& whole, Literal literal, u64 encoding,
                     const Labels& labels) {
  Operand o;
  string t = Trim(whole);
  for (size_t at; (at = t.find(".reuse")) != string::npos;) t.erase(at, 6);
  if (StartsWith(t, "`(")) {
    const auto label = labels.find(t.substr(2, t.size() - 3));
    o.kind = Kind::kLabel;
    if (label != labels.end()) o.target = label->second;
    return o;
  }
  const auto take = [&](char c) {
    if (t.empty() || t[0] != c) return false;
    t.erase(0, 1);
    return true;
  };
  o.is_not = take('!');
  o.invert = take('~');
  if (t.size() > 1 && t[0] == '-' &&
      (t[1] == '|' || t[1] == 'R' || t[1] == 'U' || t[1] == 'c'))
    o.negate = take('-');
  if (take('|')) {
    o.absolute = true;
    t.pop_back();
  }
  if (StartsWith(t, "desc[")) t.erase(0, t.find(']') + 1);
  if (StartsWith(t, "[")) {
    o.kind = Kind::kMemory;
    ParseSum(t.substr(1, t.size() - 2), t, &o);
    return o;
  }
  if (StartsWith(t, "c[")) {
    o.kind = Kind::kConstant;
    o.bank = static_cast<int>(std::strtol(t.c_str() + 2, nullptr, 0));
    const size_t at = t.find("][") + 2;
    ParseSum(t.substr(at, t.size() - at - 1), t, &o);
    if (o.uniform >= 0) Die("not done: constant %s", t.c_str());
    return o;
  }
  static const std::map<string, SpecialRegister> specials = {
      {"SRZ", SpecialRegister::kZero},
      {"SR_TID.X", SpecialRegister::kTid},
      {"SR_TID.Y", SpecialRegister::kZero},
      {"SR_TID.Z", SpecialRegister::kZero},
      {"SR_CTAID.X", SpecialRegister::kCtaid},
      {"SR_CTAID.Y", SpecialRegister::kZero},
      {"SR_CTAID.Z", SpecialRegister::kZero},
      {"SR_LANEID", SpecialRegister::kLane},
      {"SR_CLOCKLO", SpecialRegister::kClock},
      {"SR_CgaCtaId", SpecialRegister::kZero},
      {"SR_SWINHI", SpecialRegister::kSharedWindowHigh},
      {"SR_LTMASK", SpecialRegister::kLtMask}};
  if (StartsWith(t, "SR")) {
    const auto special = specials.find(t);
    if (special == specials.end())
      Die("not done: special register %s", t.c_str());
    o.kind = Kind::kSpecial;
    o.special = special->second;
    return o;
  }
  if (t == "PR") {
    o.kind = Kind::kPredicates;
    return o;
  }
  static const struct {
    const char* prefix;
    char last_letter;
    int last;
    Kind kind;
  } registers[] = {{"UR", 'Z', kZeroUniform, Kind::kUniform},
                   {"UP", 'T', kTrue, Kind::kUniformPredicate},
                   {"R", 'Z', kZeroRegister, Kind::kRegister},
                   {"P", 'T', kTrue, Kind::kPredicate},
                   {"B", 0, 0, Kind::kConvergence}};
  for (const auto& r : registers) {
    const int number = RegisterNumber(t, r.prefix, r.last_letter, r.last);
    if (number < 0) continue;
    o.kind = r.kind;
    o.reg = number;
    return o;
  }
  o.kind = Kind::kImmediate;
  switch (literal) {
    case Literal::kFloat:
      o.immediate = encoding >> 32;
      break;
    case Literal::kDouble:
      o.immediate = encoding & 0xffffffff00000000ull;
      break;
    case Literal::kInteger:
      o.immediate = static_cast<u64>(std::strtoll(t.c_str(), nullptr, 0));
      break;
  }
  return o;
}

// A line of nvdisasm -hex and the line after it.
struct Line {
  string text;
  u32 address;
  int where;
  u64 low, high;
};

Instruction ParseInstruction(const Line& line, const Labels& labels) {
  string t = line.text;
  Instruction guarded;
  if (t[0] == '@') {
    const size_t space = t.find(' ');
    string guard = t.substr(1, space - 1);
    t = Trim(t.substr(space));
    if (guard[0] == '!') {
      guarded.guard_not = true;
      guard.erase(0, 1);
    }
    if (guard[0] == 'U') {
      guarded.guard_uniform = true;
      guard.erase(0, 1);
    }
    guarded.guard = guard[1] == 'T' ? kTrue : guard[1] - '0';
  }
  const size_t space = t.find(' ');
  const string operands = space == string::npos ? "" : Trim(t.substr(space));
  Instruction in = ParseMnemonic(t.substr(0, space));
  in.guard = guarded.guard;
  in.guard_not = guarded.guard_not;
  in.guard_uniform = guarded.guard_uniform;
  // RET's are not separated by a comma.
  for (const string& operand :
       operands.empty() ? std::vector<string>()
                        : Split(operands, in.op == Op::kRet ? ' ' : ',')) {
    in.o.push_back(ParseOperand(operand, LiteralOf(in.op), line.low, labels));
  }
  const u64 control = line.high >> 41 & 0x1fffff;
  in.stall = std::max<int>(1, control & 15);
  in.write_scoreboard = control >> 5 & 7;
  in.read_scoreboard = control >> 8 & 7;
  in.wait = control >> 11 & 63;
  in.address = line.address;
  in.text = line.text;
  in.where = line.where;
  return in;
}

}  // namespace

Listing ReadListing(const string& path, const string& kernel) {
  Listing listing;
  std::ifstream text(path);
  std::vector<Line> lines;
  Labels labels = {{kernel, 0}};
  std::map<string, int> known_places;
  int where = -1;
  string place;  // that the next instruction comes from, innermost first
  bool inside = false;
  const string start = ".text." + kernel + ":";
  for (string line; std::getline(text, line);) {
    if (!inside) {
      inside = line == start;
      continue;
    }
    if (StartsWith(line, "//-----") || StartsWith(line, "\t.section")) break;
    const size_t file = line.find("//## File");
    if (file != string::npos) {
      place += (place.empty() ? "" : " < ") + Trim(line.substr(file + 10));
      continue;
    }
    const size_t colon = line.find(':');
    if ((line[0] == '.' || line[0] == '$') && colon != string::npos &&
        line.find_first_of(" \t") == string::npos) {
      labels[line.substr(0, colon)] = static_cast<int>(lines.size());
      continue;
    }
    // "  /*0010*/  MOV R1, R2 ;  /* 0x0123456789abcdef */", then a line with
    // the other half alone.
    const size_t address = line.find("/*"), hex = line.rfind("/* 0x");
    if (hex == string::npos) continue;
    const u64 half = std::strtoull(line.c_str() + hex + 3, nullptr, 16);
    if (address == hex) {
      if (!lines.empty()) lines.back().high = half;
      continue;
    }
    if (!place.empty()) {
      const auto [known, is_new] =
          known_places.emplace(place, static_cast<int>(listing.where.size()));
      if (is_new) listing.where.push_back(place);
      where = known->second;
      place.clear();
    }
    const size_t begin = line.find("*/") + 2;
    // A remark may stand before the end, such as (*"SpillRefill"*).
    const size_t end = std::min(line.rfind(';', hex), line.find("(*", begin));
    const auto number =
        static_cast<u32>(std::strtoul(line.c_str() + address + 2, nullptr, 16));
    lines.push_back(
        {Trim(line.substr(begin, end - begin)), number, where, half, 0});
  }
  for (const Line& line : lines) {
    if (line.address != 16 * listing.code.size())
      Die("%s has no instruction before address %x", kernel.c_str(),
          line.address);
    listing.code.push_back(ParseInstruction(line, labels));
  }
  if (listing.code.empty())
    Die("no code of %s in %s", kernel.c_str(), path.c_str());
  return listing;
}

}  // namespace sim
