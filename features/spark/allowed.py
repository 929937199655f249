"""Classes of Spark's expressions that a configuration may use: their value rests on the columns of one row alone.

Left out are aggregates, windows and generators, which see or make other rows; subqueries; what draws lots (also
aes_encrypt) or reads the clock, the user, the file or the task; what calls Java or reads files. A function that a later
version of Spark adds is refused until it stands here; tests hold the list against the examples in Spark's registry.
"""

from __future__ import annotations

import re

ALLOWED = frozenset(
    re.findall(
        r"\w+",
        """
Abs Acos Acosh Add AddMonths AesDecrypt Alias And ArrayAggregate ArrayAppend ArrayCompact ArrayContains ArrayDistinct
ArrayExcept ArrayExists ArrayFilter ArrayForAll ArrayInsert ArrayIntersect ArrayJoin ArrayMax ArrayMin ArrayPosition
ArrayPrepend ArrayRemove ArrayRepeat ArraySize ArraySort ArrayTransform ArrayUnion ArraysOverlap ArraysZip Ascii Asin
Asinh AssertTrue Atan Atan2 Atanh AttributeReference BRound Base64 Between Bin BinaryPad BinaryPredicate BitLength
BitmapBitPosition BitmapBucketNumber BitmapCount BitwiseAnd BitwiseCount BitwiseGet BitwiseNot BitwiseOr BitwiseXor
CaseWhen Cast Cbrt Ceil Chr Coalesce Collate Collation CommonExpressionDef CommonExpressionRef Concat ConcatWs
Contains Conv ConvertTimezone Cos Cosh Cot Crc32 CreateArray CreateMap CreateNamedStruct Csc CsvToStructs DateAdd
DateAddInterval DateAddYMInterval DateDiff DateFormatClass DateFromUnixDate DateSub DatetimeSub DayName DayOfMonth
DayOfWeek DayOfYear Decode Divide DivideYMInterval ElementAt Elt Encode EndsWith EqualNull EqualNullSafe EqualTo
EulerNumber Exp Expm1 Extract ExtractANSIIntervalDays ExtractANSIIntervalMinutes ExtractANSIIntervalMonths
ExtractANSIIntervalSeconds Factorial FindInSet Flatten Floor FormatNumber FormatString FromUTCTimestamp FromUnixTime
Get GetArrayItem GetArrayStructFields GetJsonObject GetMapValue GetStructField GreaterThan GreaterThanOrEqual Greatest
Hex HllSketchEstimate HllUnion Hour Hypot ILike If In InitCap IntegralDivide IsNaN IsNotNull IsNull IsValidUTF8
IsVariantNull JsonObjectKeys JsonToStructs LambdaFunction LastDay Least Left Length LengthOfJsonArray LessThan
LessThanOrEqual Levenshtein Like LikeAll LikeAny Literal Log Log10 Log1p Log2 Logarithm Lower Luhncheck MakeDTInterval
MakeDate MakeInterval MakeTimestamp MakeValidUTF8 MakeYMInterval MapConcat MapContainsKey MapEntries MapFilter
MapFromArrays MapFromEntries MapKeys MapValues MapZipWith Mask Md5 MicrosToTimestamp MillisToTimestamp Minute Month
MonthName MonthsBetween Multiply MultiplyYMInterval Murmur3Hash NaNvl NamedLambdaVariable NextDay Not NotLikeAll
NotLikeAny NullIf NullIfZero Nvl Nvl2 OctetLength Or Overlay ParseJson ParseToDate ParseToTimestamp ParseUrl Pi Pmod
Pow Quarter RLike RaiseError RegExpCount RegExpExtract RegExpExtractAll RegExpInStr RegExpReplace RegExpSubStr
Remainder ResolvedCollation Reverse Right Rint Round RoundCeil RoundFloor SchemaOfCsv SchemaOfJson SchemaOfVariant
SchemaOfXml Sec Second SecondWithFraction SecondsToTimestamp Sentences Sequence Sha1 Sha2 ShiftLeft ShiftRight
ShiftRightUnsigned Signum Sin Sinh Size Slice SortArray SoundEx SplitPart Sqrt StartsWith StringDecode StringInstr
StringLPad StringLocate StringRPad StringRepeat StringReplace StringSpace StringSplit StringToMap StringTranslate
StringTrim StringTrimBoth StringTrimLeft StringTrimRight StructsToCsv StructsToJson StructsToXml Substring
SubstringIndex Subtract SubtractDates SubtractTimestamps Tan Tanh TimeAdd TimestampAdd TimestampAddYMInterval
TimestampDiff ToBinary ToCharacter ToDegrees ToNumber ToRadians ToUTCTimestamp ToUnixTimestamp ToVariantObject
TransformKeys TransformValues TruncDate TruncTimestamp TryAdd TryAesDecrypt TryDivide TryElementAt TryEval
TryMakeInterval TryMakeTimestamp TryMod TryMultiply TryParseUrl TrySubtract TryToBinary TryToNumber TryToTimestamp
TryUrlDecode TryValidateUTF8 TypeOf TypedNullLiteral UnBase64 UnaryMinus UnaryPositive Unhex UnixDate UnixMicros
UnixMillis UnixSeconds UnixTimestamp Upper UrlDecode UrlEncode ValidateUTF8 VariantGet WeekDay WeekOfYear WidthBucket
With XPathBoolean XPathDouble XPathFloat XPathInt XPathList XPathLong XPathShort XPathString XmlToStructs XxHash64
Year ZeroIfNull ZipWith
""",
    )
)
