"""Target reports of a radar, without elevation: the items of category 048.

EUROCONTROL-SPEC-0149, category 048, edition 1.32.
"""

from opencram.asterix.layout import Explicit, chained, compound, extended, fixed, repeated, single
from opencram.asterix.records import Category, Item

CAT048 = Category(
    48,
    "1.32",
    "target reports of a radar",
    (
        Item("010", "Data Source Identifier", fixed("SAC 8, SIC 8")),
        Item("140", "Time of Day", single("24 1/128 s")),
        Item(
            "020",
            "Target Report Descriptor",
            extended(
                "TYP 3, SIM, RDP, SPI, RAB",
                "TST, ERR, XPP, ME, MI, FOEFRI 2",
                "ADSB.EP, ADSB.VAL, SCN.EP, SCN.VAL, PAI.EP, PAI.VAL, - 1",
                "ACASXV.EP, ACASXV.VAL 4, POXPR.EP, POXPR.VAL",
                "POACT.EP, POACT.VAL, DTFXPR.EP, DTFXPR.VAL, DTFACT.EP, DTFACT.VAL, - 1",
                "IRMXPR.EP, IRMXPR.VAL, IRMACT.EP, IRMACT.VAL, - 3",
            ),
        ),
        Item("040", "Measured Position in Polar Co-ordinates", fixed("RHO 16 1/256 NM, THETA 16 180/2^15 deg")),
        Item("070", "Mode-3/A Code in Octal Representation", fixed("V, G, L, - 1, MODE3A o12")),
        Item("090", "Flight Level in Binary Representation", fixed("V, G, FL s14 1/4 FL")),
        Item(
            "130",
            "Radar Plot Characteristics",
            compound(
                "SRL 8 180/2^12 deg",
                "SRR 8",
                "SAM s8 1 dBm",
                "PRL 8 180/2^12 deg",
                "PAM s8 1 dBm",
                "RPD s8 1/256 NM",
                "APD s8 180/2^13 deg",
            ),
        ),
        Item("220", "Aircraft Address", single("x24")),
        Item("240", "Aircraft Identification", single("i48")),
        Item("250", "BDS Register Data", repeated("MBDATA x56, BDS1 4, BDS2 4")),
        Item("161", "Track Number", fixed("- 4, TRN 12")),
        Item("042", "Calculated Position in Cartesian Co-ordinates", fixed("X s16 1/128 NM, Y s16 1/128 NM")),
        Item(
            "200", "Calculated Track Velocity in Polar Co-ordinates", fixed("GSP 16 1/2^14 NM/s, HDG 16 180/2^15 deg")
        ),
        Item("170", "Track Status", extended("CNF, RAD 2, DOU, MAH, CDM 2", "TRE, GHO, SUP, TCC, - 3")),
        Item(
            "210", "Track Quality", fixed("SIGX 8 1/128 NM, SIGY 8 1/128 NM, SIGV 8 1/2^14 NM/s, SIGH 8 180/2^11 deg")
        ),
        Item("030", "Warning/Error Conditions and Target Classification", chained("value 7")),
        Item(
            "080",
            "Mode-3/A Code Confidence Indicator",
            fixed("- 4, QA4, QA2, QA1, QB4, QB2, QB1, QC4, QC2, QC1, QD4, QD2, QD1"),
        ),
        Item(
            "100",
            "Mode-C Code and Code Confidence Indicator",
            fixed("V, G, - 2, MODEC 12, - 4, QC1, QA1, QC2, QA2, QC4, QA4, QB1, QD1, QB2, QD2, QB4, QD4"),
        ),
        Item("110", "Height Measured by a 3D Radar", fixed("- 2, 3DH s14 25 ft")),
        Item(
            "120",
            "Radial Doppler Speed",
            compound(
                ("CAL", fixed("D, - 5, CAL s10 1 m/s")), ("RDS", repeated("DOP 16 1 m/s, AMB 16 1 m/s, FRQ 16 1 MHz"))
            ),
        ),
        Item(
            "230",
            "Communications/ACAS Capability and Flight Status",
            fixed("COM 3, STAT 3, SI, - 1, MSSC, ARC, AIC, B1A, B1B 4"),
        ),
        Item("260", "ACAS Resolution Advisory Report", single("x56")),
        Item("055", "Mode-1 Code in Octal Representation", fixed("V, G, L, MODE1 5")),
        Item("050", "Mode-2 Code in Octal Representation", fixed("V, G, L, - 1, MODE2 o12")),
        Item("065", "Mode-1 Code Confidence Indicator", fixed("- 3, QA4, QA2, QA1, QB2, QB1")),
        Item(
            "060",
            "Mode-2 Code Confidence Indicator",
            fixed("- 4, QA4, QA2, QA1, QB4, QB2, QB1, QC4, QC2, QC1, QD4, QD2, QD1"),
        ),
        Item("SP", "Special Purpose Field", Explicit()),
        Item("RE", "Reserved Expansion Field", Explicit()),
    ),
    (
        "010/SAC",
        "010/SIC",
        "020/TYP",
        "020/SIM",
        "020/RAB",
        "020/TST",
        "140",
        "040/RHO",
        "040/THETA",
        "120/CAL/D",
        "120/CAL/CAL",
    ),
)
