"""Measured plots of radars with range, azimuth, elevation and Doppler: the items of category 015.

EUROCONTROL-SPEC-0149, category 015, edition 1.2.
"""

from opencram.asterix.layout import Explicit, chained, compound, extended, fixed, repeated, single
from opencram.asterix.records import Category, Item

CAT015 = Category(
    15,
    "1.2",
    "independent non-cooperative surveillance: plots",
    (
        Item("010", "Data Source Identifier", fixed("SAC 8, SIC 8")),
        Item("000", "Message Type", fixed("MT 7, RG")),
        Item("015", "Service Identification", single("8")),
        Item("020", "Target Report Descriptor", extended("MOMU 2, TTAX 2, SCD 2, - 1")),
        Item("030", "Warning/Error Conditions", chained("value 7")),
        Item("145", "Time of Applicability", single("24 1/128 s")),
        Item("161", "Track/Plot Number", single("16")),
        Item("170", "Track/Plot Status", extended("BIZ, BAZ, TUR, - 1, CSTP, CSTH, CNF")),
        Item("050", "Update Period", fixed("- 2, UPD 14 1/128 s")),
        Item(
            "270",
            "Target Size & Orientation",
            compound("LEN 16 0.01 m", "WDT 16 0.01 m", "HGT 16 0.01 m", "ORT 16 180/2^15 deg"),
        ),
        Item("300", "Object Classification", repeated("CLS 9, PRB 7")),
        Item("400", "Measurement Identifier", fixed("PID 16, ON 24")),
        Item(
            "600",
            "Horizontal Position Information",
            compound(
                ("P84", fixed("LATITUDE s32 180/2^31 deg, LONGITUDE s32 180/2^31 deg")),
                ("HPR", fixed("RSHPX 16 1/2 m, RSHPY 16 1/2 m, CORSHPXY s8 1/128")),
                ("HPP", fixed("SDHPX 16 1/4 m, SDHPY 16 1/4 m, COSDHPXY s8 1/128")),
            ),
        ),
        Item(
            "601",
            "Geometric Height Information",
            compound(
                "GH s24 0.01 m",
                "RSGH 24 0.01 m",
                "SDGH 24 0.01 m",
                ("CI6", fixed("UCI6 12 16 m, LCI6 12 16 m")),
                ("CI9", fixed("UCI9 12 16 m, LCI9 12 16 m")),
                ("COGHHP", fixed("X s8 1/128, Y s8 1/128")),
                ("COGHHV", fixed("X s8 1/128, Y s8 1/128")),
                ("COGHHA", fixed("X s8 1/128, Y s8 1/128")),
            ),
        ),
        Item(
            "602",
            "Horizontal Velocity Information",
            compound(
                ("HV", fixed("X s20 0.01 m/s, Y s20 0.01 m/s")),
                ("RSHV", fixed("X 16 0.01 m/s, Y 16 0.01 m/s, CORSHVXY s8 1/128")),
                ("SDHV", fixed("X 16 0.01 m/s, Y 16 0.01 m/s, COHVXY s8 1/128")),
                ("COHVHP", fixed("COHVXHPX s8 1/128, COHVXHPY s8 1/128, COHVYHPX s8 1/128, COHVYHPY s8 1/128")),
            ),
        ),
        Item(
            "603",
            "Horizontal Acceleration Information",
            compound(
                ("HA", fixed("X s12 1/16 m/s2, Y s12 1/16 m/s2")),
                ("SDHA", fixed("X 12 1/16 m/s2, Y 12 1/16 m/s2, COHAXY s8 1/128")),
                ("COHAHP", fixed("COHAXHPX s8 1/128, COHAXHPY s8 1/128, COHAYHPX s8 1/128, COAYHPY s8 1/128")),
                ("COHAHV", fixed("COHAXHVX s8 1/128, COHAXHVY s8 1/128, COHAYHVX s8 1/128, COHAYHVY s8 1/128")),
            ),
        ),
        Item(
            "604",
            "Vertical Velocity Information",
            compound(
                "VV s24 0.01 m/s",
                "RSVV 16 0.01 m/s",
                ("SDVV", fixed("SDVV 16 0.01 m/s, COVVGH s8 1/128")),
                ("COVVHP", fixed("X s8 1/128, Y s8 1/128")),
                ("COVVHV", fixed("X s8 1/128, Y s8 1/128")),
                ("COVVHA", fixed("X s8 1/128, Y s8 1/128")),
            ),
        ),
        Item(
            "605",
            "Vertical Acceleration Information",
            compound(
                "VA s16 0.01 m/s2",
                ("RSVA", fixed("SDVA 16 0.01 m/s2, COVAGH s8 1/128, COVAVV s8 1/128")),
                ("COVAHP", fixed("X s8 1/128, Y s8 1/128")),
                ("COVAHV", fixed("X s8 1/128, Y s8 1/128")),
                ("COVAHA", fixed("X s8 1/128, Y s8 1/128")),
            ),
        ),
        Item("480", "Associations", repeated("value x40")),
        Item(
            "625",
            "Range Information",
            compound(
                "R s24 0.1 m",
                "RSR 24 0.1 m",
                "SDR 24 0.1 m",
                "RR s24 0.1 m/s",
                "RSRR 24 0.1 m/s",
                ("SDRR", fixed("SDRR 24 0.1 m/s, CORRR s8 1/128")),
                "RA s16 1/64 m/s2",
                ("SDRA", fixed("SDRA 16 1/128 m/s2, CORAR s8 1/128, CORARR s8 1/128")),
            ),
        ),
        Item(
            "626",
            "Doppler Information",
            compound(
                "DV s24 0.01 m/s",
                "SDDV 16 1/64 m/s",
                "DA s16 1/64 m/s2",
                ("SDDA", fixed("SDDA 16 1/64 m/s2, CODADV s8 1/128")),
                "CODVR s8 1/128",
                "CODVRR s8 1/128",
                "CODVRA s8 1/128",
                "CODAR s8 1/128",
                "CODARR s8 1/128",
                "CODARA s8 1/128",
            ),
        ),
        Item(
            "627",
            "Azimuth Information",
            compound(
                "AZ 16 180/2^15 deg",
                "RSAZ 16 180/2^18 deg",
                "SDASZ 16 180/2^18 deg",
                "AZR s16 180/2^16 deg",
                ("SDAZR", fixed("SDAZR 16 180/2^18 deg, COAZRAZ s8 1/128")),
                ("AZEX", fixed("S 16 180/2^15 deg, E 16 180/2^15 deg")),
            ),
        ),
        Item(
            "628",
            "Elevation Information",
            compound(
                "EL s16 180/2^16 deg",
                "RSEL 16 180/2^18 deg",
                "SDEL 16 180/2^18 deg",
                "ER s16 180/2^16 deg/s",
                ("SDER", fixed("SDELR 16 180/2^18 deg/s, COELREL s8 1/128")),
                ("ELEX", fixed("S s16 180/2^16 deg, E s16 180/2^16 deg")),
            ),
        ),
        Item(
            "630",
            "Path Quality",
            compound("DPP s8 1 dB", "DPS s8 1 dB", ("RPP", fixed("- 7, RPP s9 1 dB")), "RPS s8 1 dB"),
        ),
        Item(
            "631",
            "Contour (Azimuth, Elevation Angle, Range Extent)",
            repeated(
                "AZCON 16 180/2^15 deg, ELCON s16 180/2^16 deg, RGCONSTOP 16 10000/2^16 m, RGCONSTART 16 10000/2^16 m"
            ),
        ),
        Item("SP", "Special Purpose Field", Explicit()),
    ),
    (
        "010/SAC",
        "010/SIC",
        "000/MT",
        "020/MOMU",
        "020/TTAX",
        "145",
        "625/R",
        "625/RR",
        "626/DV",
        "627/AZ",
        "628/EL",
        "630/RPS",
    ),
)
