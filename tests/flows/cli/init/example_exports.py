"""Small exports as shops, PIMs, Google Merchant and public data sets write them, with invented products.

Columns and forms follow the formats' documentation: `flows.cli.init.exports` names it.
"""

import io
import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SHOPIFY = """\
Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Option1 Linked To,\
Option2 Name,Option2 Value,Variant SKU,Variant Price,Image Src,Image Position,Image Alt Text,Gift Card,Variant Image,\
Color (product.metafields.shopify.color-pattern),Status
linen-dress,Linen Dress,<p>Airy linen</p>,Acme,Apparel > Dresses,Maxi,summer,true,Color,Red,,Size,S,LD-R-S,49.00,\
https://cdn.shop.invalid/linen-front.jpg?v=1,1,,false,,red,active
linen-dress,,,,,,,,,Navy,,,S,LD-N-S,49.00,https://cdn.shop.invalid/linen-back.jpg?v=1,2,,,,,
linen-dress,,,,,,,,,,,,,,,https://cdn.shop.invalid/linen-detail.jpg?v=1,3,,,,,
silk-dress,Silk Dress,,Acme,Apparel > Dresses,Maxi,,true,Title,Default Title,,,,SD,99.00,\
https://cdn.shop.invalid/silk.jpg?v=2,1,,false,,,active
wool-dress,Wool Dress,,Acme,Apparel > Dresses,Midi,,true,Color,Black,,,,WD,79.00,\
https://cdn.shop.invalid/wool.jpg?v=2,1,,false,,,active
knit-dress,Knit Dress,,Acme,Apparel > Dresses,Midi,,true,Color,Olive,,,,KD,59.00,\
https://cdn.shop.invalid/knit.jpg?v=2,1,,false,,,active
"""
SHOPIFY_2025 = """\
Title,URL handle,Description,Vendor,Product category,Type,Tags,Published on online store,Status,SKU,Barcode,\
Option1 name,Option1 value,Option1 Linked To,Price,Product image URL,Image position,Image alt text,Variant image URL
Linen Dress,linen-dress,Airy,Acme,Apparel,Maxi,,TRUE,Active,LD,,Colour,Red,,49,https://cdn.shop.invalid/1.jpg,1,,
,linen-dress,,,,,,,,LD2,,,Navy,,49,https://cdn.shop.invalid/2.jpg,2,,
"""
WOOCOMMERCE = """\
\ufeffID,Type,SKU,"GTIN, UPC, EAN, or ISBN",Name,Published,"Is featured?","Visibility in catalog",Categories,Images,\
Parent,Position,"Attribute 1 name","Attribute 1 value(s)","Attribute 1 visible","Attribute 1 global",\
"Attribute 2 name","Attribute 2 value(s)","Meta: _wp_page_template","Meta: _wp_page_template"
100,variable,TEA,,Tea dress,1,0,visible,"Clothing > Dresses, Sale",\
"https://shop.invalid/tea.jpg, https://shop.invalid/tea-back.jpg",,0,Color,"Red, Navy",1,1,Pattern,Floral,,
101,variation,TEA-R,,Tea dress - Red,1,0,visible,,https://shop.invalid/tea-red.jpg,TEA,1,Color,Red,,1,,,,
102,variation,TEA-N,,Tea dress - Navy,1,0,visible,,https://shop.invalid/tea-navy.jpg,TEA,2,Color,Navy,,1,,,,
200,variable,,,Day dress,1,0,visible,Clothing > Dresses,https://shop.invalid/day.jpg,,0,Color,"Green, Pink",1,1,,,,
201,variation,,,Day dress - Green,1,0,visible,,,id:200,1,Color,Green,,1,,,,
300,simple,EVE,,Evening dress,1,0,visible,Clothing > Dresses,https://shop.invalid/eve.jpg,,0,Color,Black,1,1,Length,Long,,
"""
WOOCOMMERCE_GERMAN = """\
ID,Typ,Artikelnummer,Name,Veröffentlicht,Kategorien,Bilder,Übergeordnetes Produkt,Attribut 1 Name,Attribut 1 Wert(e)
100,variable,TEA,Teekleid,1,Kleider,"https://shop.invalid/tea.jpg, https://shop.invalid/back.jpg",,Farbe,"Rot, Blau"
101,variation,TEA-R,Teekleid - Rot,1,,https://shop.invalid/tea-red.jpg,TEA,Farbe,Rot
"""
MAGENTO = """\
sku,store_view_code,attribute_set_code,product_type,categories,product_websites,name,price,url_key,base_image,\
base_image_label,small_image,additional_attributes,qty,additional_images,additional_image_labels,configurable_variations
WB-RED,,Dress,simple,Default Category/Women,base,Willow Dress Red,49,willow-red,/w/b/wb-red.jpg,,/w/b/wb-red.jpg,\
"color=Red,pattern=Solid,care=""wash cold, dry"",size=M",10,"/w/b/wb-red.jpg,/w/b/wb-red-back.jpg",,
WB-RED,de,Dress,simple,,,Weidenkleid rot,,,,,,,,,,
WB-BLUE,,Dress,simple,Default Category/Women,base,Willow Dress Blue,49,willow-blue,/w/b/wb-blue.jpg,,/w/b/wb-blue.jpg,\
"color=Blue,size=M",10,/w/b/wb-blue.jpg,,
WB,,Dress,configurable,Default Category/Women,base,Willow Dress,49,willow,no_selection,,no_selection,,0,,,\
"sku=WB-RED,color=Red|sku=WB-BLUE,color=Blue"
"""
_GOOGLE = """\
id|title|link|image link|additional image link|availability|price|item group id|color|pattern|product type
A1|Tea dress|https://shop.invalid/a1|https://shop.invalid/a1.jpg|https://shop.invalid/a1b.jpg,https://shop.invalid/a1c.jpg\
|in_stock|49 EUR|A|Red|Floral|Women > Dresses > Tea dresses
A2|Tea dress|https://shop.invalid/a2|https://shop.invalid/a2.jpg||in_stock|49 EUR|A|Navy|Floral|Women > Tea dresses
B1|Day dress|https://shop.invalid/b1|https://shop.invalid/b1.jpg||in_stock|49 EUR||Black|Solid|Women > Day dresses
B2|Day dress|https://shop.invalid/b2|https://shop.invalid/b2.jpg||in_stock|49 EUR||Green|Solid|Women > Day dresses
"""
GOOGLE_TSV = _GOOGLE.replace("|", "\t")
GOOGLE_XML = """\
<?xml version="1.0"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>Shop</title>
<item><g:id>A1</g:id><g:title>Tea dress</g:title><g:link>https://shop.invalid/a1</g:link>
<g:image_link>https://shop.invalid/a1.jpg</g:image_link>
<g:additional_image_link>https://shop.invalid/a1b.jpg</g:additional_image_link>
<g:additional_image_link>https://shop.invalid/a1c.jpg</g:additional_image_link>
<g:item_group_id>A</g:item_group_id><g:color>Red</g:color><g:product_type>Women &gt; Dresses</g:product_type></item>
<item><g:id>A2</g:id><g:title>Tea dress</g:title><g:link>https://shop.invalid/a2</g:link>
<g:image_link>https://shop.invalid/a2.jpg</g:image_link><g:item_group_id>A</g:item_group_id><g:color>Navy</g:color></item>
</channel></rss>
"""
AKENEO = """\
sku;categories;enabled;family;groups;parent;main_color;name-de_DE;name-en_US;image;variation_image;price-EUR
1111;women,dresses;1;dresses;;tea;red;Teekleid;Tea dress;files/1111/image/tea.jpg;files/1111/variation_image/red.jpg;49
1112;women,dresses;1;dresses;;tea;navy;Teekleid;Tea dress;files/1112/image/tea.jpg;;49
1113;women;1;dresses;;;black;Abendkleid;;files/1113/image/evening.jpg;;99
"""
BIGCOMMERCE_LEGACY = """\
Item Type,Product ID,Product Name,Product Type,Product Code/SKU,Brand Name,Option Set,Price,Category,\
Product Image ID - 1,Product Image File - 1,Product Image URL - 1,Product Image Sort - 1,Product Image File - 2,\
Product Image URL - 2
Product,77,Tea dress,P,TEA,Acme,Tea,49,Clothing/Dresses,5,t/1/tea.jpg,https://shop.invalid/tea.jpg,0,\
t/1/back.jpg,https://shop.invalid/back.jpg
  SKU,,"[RT]Color=Red,[RT]Size=M",,TEA-R-M,,,,,,,,,,
  Rule,,,,,,,,,,,,,,
Product,78,Day dress,P,DAY,Acme,,49,Clothing/Dresses,6,d/1/day.jpg,https://shop.invalid/day.jpg,0,,
"""
BIGCOMMERCE = """\
Item,ID,Name,Type,SKU,Options,Price,Categories,Variant Image URL,Internal Image URL (Export),\
Image URL (Import),Image is Thumbnail
Product,77,Tea dress,physical,TEA,,49,12,,,,
Variant,501,,,TEA-R,Type=Dropdown|Name=Color|Value=Red,,,https://shop.invalid/red.jpg,,,
Image,900,,,,,,,,https://shop.invalid/tea.jpg,,TRUE
"""
KAGGLE = """\
id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName
15970,Men,Apparel,Topwear,Shirts,Navy Blue,Fall,2011,Casual,Turtle Check Men Navy Blue Shirt
39386,Men,Apparel,Topwear,Shirts,Black,Summer,2012,Casual,Peter England Black Shirt
59263,Women,Apparel,Dress,Dresses,Red,Winter,2016,Casual,Titan Red Dress
59264,Women,Apparel,Dress,Dresses,Pink,Winter,2016,Casual,Titan Pink Dress
"""
HM = """\
article_id,product_code,prod_name,product_type_no,product_type_name,graphical_appearance_no,graphical_appearance_name,\
colour_group_code,colour_group_name,detail_desc
0108775015,0108775,Strap top,253,Vest top,1010016,Solid,09,Black,Jersey top
0108775044,0108775,Strap top,253,Vest top,1010017,Stripe,10,White,Jersey top
0110065001,0110065,OP T-shirt,306,Bra,1010016,Solid,09,Black,Microfibre bra
0110065002,0110065,OP T-shirt,306,Bra,1010016,Solid,10,White,Microfibre bra
"""
EXPORTS = {
    "shopify.csv": SHOPIFY,
    "woocommerce.csv": WOOCOMMERCE,
    "magento.csv": MAGENTO,
    "google-merchant.tsv": GOOGLE_TSV,
    "google-merchant.xml": GOOGLE_XML,
    "akeneo.csv": AKENEO,
    "bigcommerce.csv": BIGCOMMERCE_LEGACY,
    "styles.csv": KAGGLE,
    "articles.csv": HM,
}


def hugging_face(rows: int = 60) -> bytes:
    """A Parquet file as `datasets` writes it: pictures as structs, colors as the numbers of classes, no ids."""
    names = ["red", "navy", "floral green"]
    features = {
        "image": {"_type": "Image"},
        "text": {"dtype": "string", "_type": "Value"},
        "color": {"names": names, "_type": "ClassLabel"},
    }
    table = pl.DataFrame(
        {
            "image": [{"bytes": picture(n), "path": f"{n}.jpg"} for n in range(rows)],
            "text": [f"Dress {n}" for n in range(rows)],
            "color": [n % 3 for n in range(rows)],
        }
    ).to_arrow()
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_batches(table.to_batches()).replace_schema_metadata(metadata), stream)
    return stream.getvalue()


def picture(n: int = 0) -> bytes:
    """A JPEG of a shape on white, of another color for each number."""
    stream = io.BytesIO()
    image = Image.new("RGB", (32, 48), "white")
    image.paste((n * 40 % 256, n // 256 * 12, n % 256), (8, 8, 24, 40))
    image.save(stream, "JPEG")
    return stream.getvalue()
